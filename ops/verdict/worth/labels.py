"""A gain in accuracy as real labels per class: how many more the baseline would need for the same gain.

The number of labels follows from a law of the baseline's learning curve (`ops.verdict.worth.curve`). Curve and gain are
both uncertain, so laws and gains are drawn together, and the interval holds the middle share of the drawn numbers.
Gains are drawn from Student's t on either side of the estimate, so that their quantiles are the limits that the verdict
gives. A gain of 0 is reached with 0 labels more whatever the law, so one that is not distinguished from 0 is worth an
interval around 0.

No number is told beyond what the curve can tell: at most so many times the labels as it reaches down, and REACH times
at most. Less than the smallest size is not told either.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ops.verdict.estimate import FloatArray, find_critical
from ops.verdict.worth.curve import Fit

REACH = 4.0  # times all labels; up to it intervals hold by simulation (`growset bench worth`)


@dataclass(frozen=True)
class Gain:
    """A difference of two scores, as fractions, with the limits of a two-sided interval and its degrees of freedom."""

    estimate: float
    low: float
    high: float
    df: float

    @staticmethod
    def from_dict(value: Mapping[str, Any]) -> Gain:
        """From an interval of verdict.json."""
        return Gain(*(float(value[key]) for key in ("estimate", "low", "high", "df")))


@dataclass(frozen=True)
class Worth:
    """Labels per class that a gain is worth; below 0 for a loss.

    least, most: the fewest and the most that the curve can tell. A figure that equals one of them means `so many or
    fewer`, or `so many or more`.
    """

    estimate: float
    low: float
    high: float
    least: float
    most: float

    def is_beyond(self, value: float) -> bool:
        """Whether one of the three figures says no more than on which side of the curve's end it lies."""
        return value in (self.least, self.most)

    @property
    def is_told(self) -> bool:
        """Whether the interval excludes something."""
        return (self.low, self.high) != (self.least, self.most)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def convert_gain(fit: Fit, sizes: list[float], gain: Gain, confidence: float, rng: np.random.Generator) -> Worth:
    """The worth of a gain on a curve of these sizes, labels per class, whose last one is that of all labels.

    confidence: of the gain's interval and of the worth's. The same state of `rng` gives the same luck to every gain, so
    that of two gains with equal errors the larger one is worth no less.
    """
    whole, tail = sizes[-1], (1.0 - confidence) / 2.0
    least, most = sizes[0] - whole, whole * (min(REACH, whole / sizes[0]) - 1.0)
    gains = _draw_gains(gain, len(fit.free.errors) - 1, tail, rng)
    free, bending = (np.clip(laws.find_sizes(gains) - whole, least, most) for laws in (fit.free, fit.bending))
    low, high = np.quantile(free[1:], [tail, 1.0 - tail])
    high = max(high, np.quantile(bending[1:], 1.0 - tail))
    low, high = min(low, free[0]), max(high, free[0])
    if gain.low <= 0.0 <= gain.high:  # 0 is worth 0 whatever the law, also where the draws just miss it
        low, high = min(low, 0.0), max(high, 0.0)
    return Worth(*(float(value) for value in (free[0], low, high, least, most)))


def _draw_gains(gain: Gain, draws: int, tail: float, rng: np.random.Generator) -> FloatArray:
    """The gain itself, and gains that it might be: float64 [1 + draws]."""
    luck = rng.standard_t(gain.df, draws) / find_critical(tail, gain.df)
    reach = np.where(luck < 0.0, gain.estimate - gain.low, gain.high - gain.estimate)
    return np.concatenate([[gain.estimate], gain.estimate + luck * reach])
