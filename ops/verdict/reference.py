"""Have the classifiers learnt enough to judge by? The picked baseline beside a reference model and beside chance.

A verdict between arms that have not learnt is worthless, however clear the differences are. So the picked baseline must
not lie clearly below a simple model that was fitted to the same training images: the whole interval of the difference
below minus one point. And it must be shown to be better than the best answer that ignores the image. Both are judged
by intervals of the verdict's confidence. The checks can only turn `helps` and `hurts` into `no evidence`, so they
cannot add a false alarm.

The accuracy of the worst class is a minimum over few images and says little about whether a network has learnt; a
verdict in it checks the balanced accuracy instead. The module does not know how the reference model works.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ops.recipe.design import Metric
from ops.verdict.comparison import Comparison
from ops.verdict.estimate import BoolArray, IntArray
from ops.verdict.records import ReferenceRow, Shortfall

MARGIN = 0.01  # the best arm may truly be as good as the reference, and validation have picked one a little below it


@dataclass(frozen=True, eq=False)
class ReferenceAnswers:
    """The reference model on the test images. name: for sentences. correct: bool [n]. validation: its score there."""

    name: str
    correct: BoolArray
    validation: float


def compare_reference(
    reference: ReferenceAnswers,
    baseline: BoolArray,
    labels: IntArray,
    *,
    metric: Metric,
    confidence: float,
    folds: IntArray | None = None,
    units: IntArray | None = None,
) -> ReferenceRow:
    """The picked baseline, bool [S, n], beside the reference model and chance; folds and units as in `Comparison`.

    ValueError for answers of the reference model of another shape or type.
    """
    if reference.correct.shape != labels.shape or reference.correct.dtype != np.bool_:
        found = f"{reference.correct.dtype} {list(reference.correct.shape)}"
        raise ValueError(f"the reference model must be bool [{len(labels)}], not {found}")
    checked, tail = choose_checked_metric(metric), (1.0 - confidence) / 2.0
    answers = {"baseline": baseline, "reference": reference.correct[np.newaxis]}
    comparison = Comparison(answers, labels, folds=folds, units=units)
    gap = comparison.differ("baseline", "reference", checked, tail=tail)
    score, chance = comparison.score("baseline", checked, tail=tail), find_chance(labels, checked)
    shortfall: Shortfall | None = None
    if gap.high < -MARGIN:
        shortfall = "below_reference"
    elif score.low <= chance:
        shortfall = "near_chance"
    return ReferenceRow(
        name=reference.name,
        metric=checked,
        validation=reference.validation,
        score=comparison.score("reference", checked, tail=tail),
        accuracy=comparison.score("reference", "accuracy", tail=tail),
        balanced_accuracy=comparison.score("reference", "balanced_accuracy", tail=tail),
        baseline=score,
        gap=gap,
        chance=chance,
        shortfall=shortfall,
    )


def choose_checked_metric(metric: Metric) -> Metric:
    """The metric in which the baseline is checked, for a verdict in `metric`."""
    return "accuracy" if metric == "accuracy" else "balanced_accuracy"


def find_chance(labels: IntArray, metric: Metric) -> float:
    """The best score of answers that ignore the image: the largest class's share, or 1 / C if classes weigh alike."""
    counts = np.unique(labels, return_counts=True)[1]
    return float(counts.max() / counts.sum()) if metric == "accuracy" else 1.0 / len(counts)
