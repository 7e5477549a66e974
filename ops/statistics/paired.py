"""What paired answers to the same images say about a gain, and how far chance alone would move it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Credits = npt.NDArray[np.float64]
"""Float64 [n]: the weight of each image where it was answered right, else 0; their sum is a score in 0..1.

Images that belong together, such as a patient's, are one draw and have one entry: `sum_draws`.
"""


def sum_draws(credits: Credits, units: npt.NDArray[np.integer[Any]] | None) -> Credits:
    """The credits of each unit of images, float64 [U], from those of each image and its unit, int [n] of any numbers.

    Without units each image is a draw of its own.

    >>> sum_draws(np.array([0.25, 0.0, 0.25, 0.25]), np.array([7, 7, 7, 3])).tolist()
    [0.25, 0.5]
    """
    if units is None:
        return credits
    return np.bincount(np.unique(units, return_inverse=True)[1], weights=credits).astype(np.float64, copy=False)


def sum_points(difference: Credits) -> float:
    """Of paired differences of credits; a tie is exactly 0."""
    return float(difference.sum().round(12))


def find_error(difference: Credits) -> float:
    """Standard error of the sum of paired differences float64 [n], each taken as a random draw."""
    return float(np.sqrt(len(difference)) * difference.std())


def find_cautious_error(difference: Credits) -> float:
    """As `find_error`, with one more draw that differs, as much as the most different one.

    With it a single image's gain does not exceed its own error, as it would where nearly all answers are alike.

    >>> one = np.eye(100)[0] / 100
    >>> bool(find_error(one) < one.sum() < find_cautious_error(one))
    True
    """
    return float(np.hypot(find_error(difference), np.abs(difference).max(initial=0.0)))
