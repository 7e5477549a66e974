"""Other uses of the same compute, without generated images: an ensemble, and test-time augmentation by mirror images.

Training an arm for several seeds leaves several networks. Averaging the probabilities of the picked baseline's networks
is an ensemble; averaging each network's probabilities of an image and of its mirror image is test-time augmentation.
Both are reported beside a verdict and never decide it.

An ensemble counts as one network, so its interval covers test images alone, and so does the interval of its difference
to its own networks. Mirror images are compared with the same networks without them, seed by seed.

It does not know files, networks or pictures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ops.recipe.design import Metric
from ops.verdict.comparison import Comparison, compare_paired
from ops.verdict.estimate import BoolArray, IntArray, Interval, average_generators
from ops.verdict.picks import find_lowest

Way = Literal["ensemble", "mirrored"]


@dataclass(frozen=True)
class Row:
    """One way of spending the same compute, in the verdict's metric.

    passes: network evaluations per image. over_baseline and over_challenger: this score minus the score of the picked
    baseline and of the challenger in the verdict; the latter is None without a challenger.
    """

    way: Way
    arm: str
    passes: int
    score: Interval
    over_baseline: Interval
    over_challenger: Interval | None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def name_way(row: Mapping[str, Any]) -> str:
    """The name of a row of verdict.json: `mixup, ensemble of 5`."""
    return f"{row['arm']}, " + (f"ensemble of {row['passes']}" if row["way"] == "ensemble" else "with mirror images")


def average_probabilities(each: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float64]:
    """The ensemble's probabilities [n, K]: the mean over networks of `each` [S, n, K]."""
    return np.asarray(each.mean(axis=0, dtype=np.float64))


def compare_same_compute(
    baseline_correct: BoolArray,
    challenger_correct: BoolArray | None,
    ensemble: BoolArray,
    mirrored: Mapping[str, BoolArray],
    labels: IntArray,
    *,
    baseline: str,
    challenger: str | None,
    metric: Metric,
    confidence: float,
    generators: Sequence[int] | None = None,
    validation_per_class: Mapping[str, Sequence[float]] | None = None,
    folds: IntArray | None = None,
    units: IntArray | None = None,
) -> list[Row]:
    """The ensemble of the baseline's networks, then each arm of `mirrored` with test-time augmentation.

    baseline_correct, challenger_correct: bool [S, n]; both the challenger's name and its answers are None where no arm
    has generated images. ensemble: bool [n]. mirrored: bool [S, n] by arm, of these two.
    generators, validation_per_class, folds and units: as in `decide`; each way takes those of its arm. A way is
    compared with its own arm network by network.
    """
    rows: list[tuple[Way, str]] = [("ensemble", baseline), *(("mirrored", arm) for arm in mirrored)]
    names = {(way, arm): f"{way} of {arm}" for way, arm in rows}
    answers: dict[str, npt.NDArray[Any]] = {baseline: baseline_correct}
    if challenger is not None and challenger_correct is not None:
        answers[challenger] = challenger_correct
    arms = list(answers)
    answers |= {names["mirrored", arm]: found for arm, found in mirrored.items()}
    if generators is not None and challenger is not None:
        grown = [challenger, names.get(("mirrored", challenger), challenger)]
        answers |= {name: average_generators(answers[name], np.asarray(generators)) for name in dict.fromkeys(grown)}
    answers[names["ensemble", baseline]] = ensemble[None]
    lowest = None
    if metric == "worst_class":
        rates = validation_per_class or {}
        lowest = {arm: find_lowest(rates.get(arm, ()), labels) for arm in arms}
        lowest |= {name: lowest[arm] for (_, arm), name in names.items()}
    comparison = Comparison(answers, labels, lowest=lowest, folds=folds, units=units)
    tail = (1.0 - confidence) / 2.0

    def differ(way: Way, arm: str, other: str) -> Interval:
        name = names[way, arm]
        if arm != other:
            return comparison.differ(name, other, metric, tail=tail)
        own = answers[arm] if way == "mirrored" else answers[arm].mean(axis=0, keepdims=True)
        return compare_paired(answers[name], own, labels, metric, tail=tail, folds=folds, units=units)

    return [
        Row(
            way,
            arm,
            len(baseline_correct) if way == "ensemble" else 2,
            comparison.score(names[way, arm], metric, tail=tail),
            differ(way, arm, baseline),
            None if challenger is None else differ(way, arm, challenger),
        )
        for way, arm in rows
    ]
