"""What paired answers to the same images say about a gain, and how far chance alone would move it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Credits = npt.NDArray[np.float64]
"""Float64 [n]: the weight of each image where it was answered right, else 0; their sum is a score in 0..1."""


def sum_points(difference: Credits) -> float:
    """Of paired differences of credits; a tie is exactly 0."""
    return float(difference.sum().round(12))


def find_error(difference: Credits) -> float:
    """Standard error of the sum of paired differences float64 [n], images taken as drawn at random."""
    return float(np.sqrt(len(difference)) * difference.std())


def find_cautious_error(difference: Credits) -> float:
    """As `find_error`, with one more image that differs, as much as the most different one.

    With it a single image's gain does not exceed its own error, as it would where nearly all answers are alike.

    >>> one = np.eye(100)[0] / 100
    >>> bool(find_error(one) < one.sum() < find_cautious_error(one))
    True
    """
    return float(np.hypot(find_error(difference), np.abs(difference).max(initial=0.0)))
