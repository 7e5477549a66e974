"""Shares of counted things with intervals that also hold for small counts and for shares of 0 and 1.

Wilson's score interval for one share (Wilson 1927), Newcombe's for the difference of two (Newcombe 1998, method 10,
"square and add"). It knows nothing of images.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist


@dataclass(frozen=True)
class Estimate:
    """A value with its two-sided interval, in the value's unit."""

    estimate: float
    low: float
    high: float


def find_quantile(confidence: float) -> float:
    """The z of a two-sided interval; ValueError unless `confidence` lies between 0 and 1."""
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence must lie between 0 and 1, not {confidence}")
    return NormalDist().inv_cdf((1.0 + confidence) / 2.0)


def estimate_share(hits: float, count: float, confidence: float = 0.95) -> Estimate:
    """hits / count in 0..1 with Wilson's interval; both may be effective sizes, which need not be integers.

    ValueError unless 0 <= hits <= count and count > 0.

    >>> none = estimate_share(0, 100)  # "rule of three": 0 of 100 does not prove 0
    >>> none.estimate, none.low, round(none.high, 3)
    (0.0, 0.0, 0.037)
    """
    if not (0 <= hits <= count and count > 0):
        raise ValueError(f"a share needs 0 <= hits <= count and count > 0, not {hits} of {count}")
    z, share = find_quantile(confidence), hits / count
    centre = (share + z * z / (2 * count)) / (1 + z * z / count)
    reach = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count)) / (1 + z * z / count)
    # At 0 and 1 the bound is exactly 0 or 1; the formula would round.
    low = 0.0 if hits == 0 else max(0.0, centre - reach)
    high = 1.0 if hits == count else min(1.0, centre + reach)
    return Estimate(share, low, high)


def subtract_shares(one: Estimate, other: Estimate) -> Estimate:
    """`one` minus `other` in -1..1, for independent samples whose intervals have the same confidence."""
    difference = one.estimate - other.estimate
    below = math.hypot(one.estimate - one.low, other.high - other.estimate)
    above = math.hypot(one.high - one.estimate, other.estimate - other.low)
    return Estimate(difference, max(-1.0, difference - below), min(1.0, difference + above))
