"""Set up a comparison: the two arms that validation picks, and every arm's independent trainings.

The verdict and the benchmark of its error rates both begin here, so that the benchmark measures the real procedure. The
module does not know what follows from a comparison, how inputs are checked, or how a verdict is worded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from ops.recipe.design import Metric
from ops.verdict.comparison import Comparison
from ops.verdict.estimate import BoolArray, IntArray, average_generators
from ops.verdict.records import Kind


@dataclass(frozen=True)
class Picks:
    """The arms of each kind, and the two that validation picked. A placebo is among the baselines, but never picked.

    validation_images: the number of validation images they were picked on; None stands for infinitely many.
    """

    baselines: Sequence[str]
    expanded: Sequence[str]
    baseline: str
    challenger: str
    validation_images: int | None


@dataclass(frozen=True)
class ComparisonSetup:
    """comparison: of the arms' independent replicates. seeds: of the same arms, with a row per seed, because validation
    picked by seeds. With one generator the two are the same object."""

    comparison: Comparison
    seeds: Comparison
    picks: Picks


def set_up_comparison(
    correct: Mapping[str, BoolArray],
    kinds: Mapping[str, Kind],
    validation: Mapping[str, float],
    labels: IntArray,
    *,
    metric: Metric,
    generators: Sequence[int] | None = None,
    validation_images: int | None = None,
    validation_per_class: Mapping[str, Sequence[float]] | None = None,
    folds: IntArray | None = None,
    units: IntArray | None = None,
) -> ComparisonSetup:
    """Pick both arms and set up their comparison; inputs as in `decide`, each arm in `correct` with a kind.

    ValueError for the metric worst_class without the accuracies per class that it needs.
    """
    lowest = None
    if metric == "worst_class":
        rates = validation_per_class or {}
        lowest = {arm: find_lowest(rates.get(arm, ()), labels) for arm in correct}
    seeds = Comparison(correct, labels, lowest=lowest, folds=folds, units=units)
    comparison = seeds
    if count_generators(generators) > 1:
        replicates = {
            arm: average_generators(answers, np.asarray(generators)) if kinds[arm] != "baseline" else answers
            for arm, answers in correct.items()
        }
        comparison = Comparison(replicates, labels, lowest=lowest, folds=folds, units=units)
    arms = {kind: [arm for arm in correct if kinds[arm] == kind] for kind in get_args(Kind)}
    picks = Picks(
        baselines=[arm for arm in correct if kinds[arm] != "expanded"],
        expanded=arms["expanded"],
        baseline=pick_best({arm: validation[arm] for arm in arms["baseline"]}),
        challenger=pick_best({arm: validation[arm] for arm in arms["expanded"]}),
        validation_images=validation_images,
    )
    return ComparisonSetup(comparison, seeds, picks)


def pick_best(validation: Mapping[str, float]) -> str:
    """The arm with the highest score; the first one wins a tie."""
    return max(validation, key=lambda arm: validation[arm])


def count_generators(generators: Sequence[int] | None) -> int:
    """How many generators the seeds used; None stands for one."""
    return 1 if generators is None else len(set(generators))


def find_lowest(rates: Sequence[float] | npt.NDArray[Any], labels: IntArray) -> int:
    """The class with the lowest of `rates` [C] (nan: not known) among the classes in `labels`.

    ValueError if no rate of such a class is known.
    """
    present, known = np.unique(labels), np.asarray(rates, dtype=np.float64)
    if len(known) <= present[-1] or np.isnan(known[present]).all():
        raise ValueError("every arm needs its validation accuracy per class for the metric worst_class")
    return int(present[np.nanargmin(known[present])])
