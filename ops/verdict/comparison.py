"""Scores of arms and their differences in a metric, with intervals.

Accuracy and balanced accuracy are sums over classes and take the closed form as it is. The accuracy of the worst class
is a minimum, whose plug-in value is too low, and the more so the more classes lie close; its interval is bounded from
both sides instead. With c a class and theta_A = min_c p_A(c), for any class b fixed beforehand

    theta_A - theta_B >= min_c [ p_A(c) - p_B(b) ]    and    theta_A - theta_B <= max_c [ p_A(b) - p_B(c) ],

so the least of the lower limits of the differences on the right, and the greatest of their upper limits, hold with the
confidence that each of them has, without correction (intersection-union; Berger, Technometrics 24, 1982). b is the
class that is lowest on *validation* for B, and for A; where it was picked wrongly the interval is wider, never wrong.

It does not know which arms matter, what decides, or how a verdict is worded.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from ops.recipe.design import Metric
from ops.verdict.estimate import (
    Answers,
    FloatArray,
    Groups,
    IntArray,
    Interval,
    Side,
    estimate_contrast,
    group_images,
    reduce_answers,
    split_image_variance,
)


class Comparison:
    """Arms that answered the same n test images; every figure is a fraction.

    replicates: per arm bool or float [K, n], the answers of its independent trainings. labels: int [n].
    lowest: per arm the label of its worst class on validation, needed for the metric worst_class only.
    """

    def __init__(
        self,
        replicates: Mapping[str, npt.NDArray[Any]],
        labels: IntArray,
        *,
        lowest: Mapping[str, int] | None = None,
    ) -> None:
        self.classes = np.unique(labels)
        self.images = len(labels)
        self._replicates = replicates
        self._lowest = {arm: int(np.searchsorted(self.classes, label)) for arm, label in (lowest or {}).items()}
        self._whole = group_images(None, len(labels))
        self._by_class = group_images(labels, len(labels))
        self._found: dict[tuple[str, str | None, Metric], Interval] = {}
        self._sides: dict[tuple[str, Metric | int], Side] = {}
        self._reduced: dict[tuple[str, bool], Answers] = {}

    def score(self, arm: str, metric: Metric, *, tail: float) -> Interval:
        """The arm's score with limits within [0, 1]."""
        if metric == "worst_class":
            found = self._bound_worst(arm, None, tail=tail)
        else:
            found = self._contrast(arm, None, metric, tail=tail)
        low, high = max(0.0, found.low), min(1.0, found.high)
        return Interval(found.estimate, low, high, found.standard_error, found.df)

    def differ(self, arm: str, other: str, metric: Metric, *, tail: float) -> Interval:
        """Score of `arm` minus score of `other`."""
        if metric == "worst_class":
            return self._bound_worst(arm, other, tail=tail)
        return self._contrast(arm, other, metric, tail=tail)

    def differ_on(self, label: int, arm: str, other: str, *, tail: float) -> Interval:
        """Accuracy of `arm` minus accuracy of `other` on the images of one class, which must have some."""
        c = int(np.searchsorted(self.classes, label))
        return self._contrast_classes(arm, c, other, c, tail=tail)

    def vary_images(self, arm: str, other: str, metric: Metric) -> float:
        """The part of a difference's variance that comes from the test images."""
        return float(split_image_variance(self._side(arm, metric), self._side(other, metric)).sum())

    def vary_replicates(self, arm: str, metric: Metric) -> float:
        """The part of a difference's variance that comes from the arm's replicates, at least 0."""
        between, inside = self._side(arm, metric).spread
        return max(0.0, between - inside)

    def rate(self, arm: str) -> FloatArray:
        """The arm's accuracy on each of `classes`, float64 [C], the mean over replicates."""
        return np.asarray(self._reduce(arm, by_class=True).rates.mean(axis=0))

    def _contrast(self, arm: str, other: str | None, metric: Metric, *, tail: float) -> Interval:
        key = (arm, other, metric)
        if key not in self._found:
            minus = None if other is None else self._side(other, metric)
            self._found[key] = estimate_contrast(self._side(arm, metric), minus, tail=tail)
        return self._found[key].set_tails(tail, tail)

    def _contrast_classes(self, arm: str, c: int, other: str | None, d: int, *, tail: float) -> Interval:
        """Accuracy of `arm` on class c minus that of `other` (0 where None) on class d."""
        return estimate_contrast(self._side(arm, c), None if other is None else self._side(other, d), tail=tail)

    def _side(self, arm: str, scored: Metric | int) -> Side:
        """The arm's answers and how they count: in a metric that sums over classes, or on one class by its place."""
        if (arm, scored) not in self._sides:
            groups = self._whole if scored == "accuracy" else self._by_class
            count = len(groups.counts)
            weights = np.eye(count)[scored] if isinstance(scored, int) else np.full(count, 1.0 / count)
            self._sides[arm, scored] = Side(groups, self._reduce(arm, groups is self._by_class), weights)
        return self._sides[arm, scored]

    def _bound_worst(self, arm: str, other: str | None, *, tail: float) -> Interval:
        every = range(len(self.classes))
        theirs = 0 if other is None else self._lowest[other]
        lows = [self._contrast_classes(arm, c, other, theirs, tail=tail) for c in every]
        if other is None:
            highs = [self._contrast_classes(arm, self._lowest[arm], None, 0, tail=tail)]
        else:
            highs = [self._contrast_classes(arm, self._lowest[arm], other, c, tail=tail) for c in every]
        least, most = min(lows, key=lambda found: found.low), max(highs, key=lambda found: found.high)
        estimate = float(self.rate(arm).min()) - (0.0 if other is None else float(self.rate(other).min()))
        # The side that reaches further speaks for the whole: its error and degrees of freedom.
        wider = least if estimate - least.low >= most.high - estimate else most
        return Interval(estimate, least.low, most.high, wider.standard_error, wider.df)

    def _reduce(self, arm: str, by_class: bool) -> Answers:
        if (arm, by_class) not in self._reduced:
            groups: Groups = self._by_class if by_class else self._whole
            self._reduced[arm, by_class] = reduce_answers(self._replicates[arm], groups)
        return self._reduced[arm, by_class]
