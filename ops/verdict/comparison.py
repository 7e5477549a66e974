"""Scores of arms and their differences in a metric, with intervals.

Accuracy and balanced accuracy are sums over classes, so the closed form applies directly. The accuracy of the worst
class is a minimum. Its plug-in value is too low, the more so the more classes lie close, so its interval is bounded
from both sides instead. With c a class and theta_A = min_c p_A(c), for any class b fixed beforehand

    theta_A - theta_B >= min_c [ p_A(c) - p_B(b) ]    and    theta_A - theta_B <= max_c [ p_A(b) - p_B(c) ],

so the least of the lower limits of the differences on the right, and the greatest of their upper limits, hold with the
confidence that each of them has, without correction (intersection-union; Berger, Technometrics 24, 1982). b is the
class that is lowest on *validation* for B, and for A; a wrong pick makes the interval wider, never wrong. The least and
the greatest p_A(c) - p_B(c) are bounds as well; they are used where both are answers of the same networks
(`compare_paired`), so that networks with the same answers differ by 0.

The module does not know which arms matter, the rule of decision, or how a verdict is worded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ops.recipe.design import Metric
from ops.verdict.estimate import (
    Answers,
    Interval,
    Side,
    estimate_contrast,
    reduce_answers,
    score_folds,
    split_image_variance,
)
from ops.verdict.image_groups import FloatArray, Groups, IntArray, group_images


class Comparison:
    """Scores and differences of arms that answered the same n test images; every figure is a fraction.

    replicates: per arm bool or float [K, n], the answers of its independent trainings. labels: int [n].
    lowest: per arm the label of its worst class on validation, needed for the metric worst_class only.
    folds: the fold in which each image was a test image, int [n], where every fold trained its own networks.
    units: int [n], equal for images that belong together, such as a patient's; None where each is a draw of its own.
    """

    def __init__(
        self,
        replicates: Mapping[str, npt.NDArray[Any]],
        labels: IntArray,
        *,
        lowest: Mapping[str, int] | None = None,
        folds: IntArray | None = None,
        units: IntArray | None = None,
    ) -> None:
        self.classes = np.unique(labels)
        self.images = len(labels)
        self.has_folds = folds is not None
        self._replicates = replicates
        self._lowest = {arm: int(np.searchsorted(self.classes, label)) for arm, label in (lowest or {}).items()}
        self._whole = group_images(None, len(labels), folds, units)
        self._by_class = group_images(labels, len(labels), folds, units)
        self._found: dict[tuple[tuple[str, Metric | int], tuple[str, Metric | int] | None], Interval] = {}
        self._sides: dict[tuple[str, Metric | int], Side] = {}
        self._reduced: dict[tuple[str, bool], Answers] = {}

    def score(self, arm: str, metric: Metric, *, tail: float) -> Interval:
        """The arm's score with limits within [0, 1]."""
        if metric == "worst_class":
            found = self._bound_worst(arm, None, tail=tail)
        else:
            found = self._contrast((arm, metric), None, tail=tail)
        low, high = max(0.0, found.low), min(1.0, found.high)
        return Interval(found.estimate, low, high, found.standard_error, found.df)

    def differ(self, arm: str, other: str, metric: Metric, *, tail: float) -> Interval:
        """Score of `arm` minus score of `other`."""
        if metric == "worst_class":
            return self._bound_worst(arm, other, tail=tail)
        return self._contrast((arm, metric), (other, metric), tail=tail)

    def differ_on(self, label: int, arm: str, other: str, *, tail: float) -> Interval:
        """Accuracy of `arm` minus accuracy of `other` on the images of one class, which must have some."""
        c = int(np.searchsorted(self.classes, label))
        return self._contrast((arm, c), (other, c), tail=tail)

    def vary(self, arm: str, other: str, metric: Metric) -> float:
        """A difference's variance; for the worst class, between the classes that validation found lowest."""
        return self._contrast(self._fix(arm, metric), self._fix(other, metric), tail=0.25).standard_error ** 2

    def vary_images(self, arm: str, other: str, metric: Metric) -> float:
        """The part of `vary` that comes from the test images."""
        sides = (self._side(*self._fix(name, metric)) for name in (arm, other))
        return float(split_image_variance(*sides)[0].sum())

    def vary_replicates(self, arm: str, metric: Metric) -> float:
        """The part of `vary` that comes from the arm's replicates, at least 0."""
        between, inside = self._side(*self._fix(arm, metric)).spread
        return max(0.0, between - inside)

    def differ_in_folds(self, arm: str, other: str | None, metric: Metric) -> FloatArray:
        """The difference on each fold's test images, or the arm's score where `other` is None: float64 [k].

        For the worst class, that of the classes that validation found lowest.
        """
        plus = self._side(*self._fix(arm, metric))
        return score_folds(plus, None if other is None else self._side(*self._fix(other, metric)))

    def rate(self, arm: str) -> FloatArray:
        """The arm's accuracy on each of `classes`, float64 [C], the mean over replicates."""
        return np.asarray(self._reduce(arm, by_class=True).rates.mean(axis=0))

    def _fix(self, arm: str, metric: Metric) -> tuple[str, Metric | int]:
        """The arm and its metric; for the worst class, the class that validation found lowest instead."""
        return arm, self._lowest[arm] if metric == "worst_class" else metric

    def _contrast(
        self, plus: tuple[str, Metric | int], minus: tuple[str, Metric | int] | None, *, tail: float
    ) -> Interval:
        """Score of one arm minus that of another (0 where None), each with a metric or class, as in `_side`."""
        if (plus, minus) not in self._found:
            other = None if minus is None else self._side(*minus)
            self._found[plus, minus] = estimate_contrast(self._side(*plus), other, tail=tail)
        return self._found[plus, minus].set_tails(tail, tail)

    def _side(self, arm: str, scored: Metric | int) -> Side:
        """The arm's answers and class weights, for a metric that sums over classes or for one class by its place."""
        if (arm, scored) not in self._sides:
            groups = self._whole if scored == "accuracy" else self._by_class
            count = len(groups.counts)
            weights = np.eye(count)[scored] if isinstance(scored, int) else np.full(count, 1.0 / count)
            self._sides[arm, scored] = Side(groups, self._reduce(arm, groups is self._by_class), weights)
        return self._sides[arm, scored]

    def _bound_worst(self, arm: str, other: str | None, *, tail: float) -> Interval:
        mine = (arm, self._lowest[arm])
        theirs = None if other is None else (other, self._lowest[other])
        every = range(len(self.classes))
        lows = [self._contrast((arm, c), theirs, tail=tail) for c in every]
        highs = [self._contrast(mine, None if other is None else (other, c), tail=tail) for c in every]
        estimate = float(self.rate(arm).min()) - (0.0 if other is None else float(self.rate(other).min()))
        return _bound(estimate, lows, highs)

    def _reduce(self, arm: str, by_class: bool) -> Answers:
        if (arm, by_class) not in self._reduced:
            groups: Groups = self._by_class if by_class else self._whole
            self._reduced[arm, by_class] = reduce_answers(self._replicates[arm], groups)
        return self._reduced[arm, by_class]


def compare_paired(
    plus: npt.NDArray[Any],
    minus: npt.NDArray[Any],
    labels: IntArray,
    metric: Metric,
    *,
    tail: float,
    folds: IntArray | None = None,
    units: IntArray | None = None,
) -> Interval:
    """Score of `plus` minus score of `minus`, bool or float [K, n], where row k of both comes from the same networks.

    Both share the same seeds, so the replicates are the differences, network by network. folds, units: as in
    `Comparison`.
    """
    groups = group_images(None if metric == "accuracy" else labels, len(labels), folds, units)
    change, count = reduce_answers(np.subtract(plus, minus, dtype=np.float64), groups), len(groups.counts)
    if metric != "worst_class":
        return estimate_contrast(Side(groups, change, np.full(count, 1.0 / count)), None, tail=tail)
    each = [estimate_contrast(Side(groups, change, weights), None, tail=tail) for weights in np.eye(count)]
    lowest = [float(groups.average(answers).mean(axis=0).min()) for answers in (plus, minus)]
    return _bound(lowest[0] - lowest[1], each, each)


def _bound(estimate: float, lows: Sequence[Interval], highs: Sequence[Interval]) -> Interval:
    """From the least of the lower limits to the greatest of the upper ones, around an estimate between them."""
    least, most = min(lows, key=lambda found: found.low), max(highs, key=lambda found: found.high)
    # The side that reaches further gives the standard error and the degrees of freedom.
    wider = least if estimate - least.low >= most.high - estimate else most
    return Interval(estimate, least.low, most.high, wider.standard_error, wider.df)
