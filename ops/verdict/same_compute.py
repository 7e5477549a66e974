"""What the compute of an expansion buys without one: more of what is there already.

Training an arm for several seeds leaves several networks. Averaging the probabilities of those of the best baseline is
an ensemble; averaging each network's probabilities of an image and of its mirror image is test-time augmentation. Both
are reported beside a verdict and never decide it.

An ensemble is one network, so its interval is about test images alone. It does not know files, networks or pictures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ops.verdict.comparison import Comparison
from ops.verdict.estimate import BoolArray, IntArray, Interval
from ops.verdict.metric import Metric

Way = Literal["ensemble", "mirrored"]


@dataclass(frozen=True)
class Row:
    """One way of spending the same compute, in the verdict's metric.

    passes: evaluations of a network that one image costs. over_baseline and over_challenger: this
    score minus that of the picked baseline and of the challenger, as they stand in the verdict.
    """

    way: Way
    arm: str
    passes: int
    score: Interval
    over_baseline: Interval
    over_challenger: Interval

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def average_probabilities(each: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float64]:
    """The ensemble's probabilities [n, K]: the mean over networks of `each` [S, n, K]."""
    return np.asarray(each.mean(axis=0, dtype=np.float64))


def compare_same_compute(
    correct: Mapping[str, BoolArray],
    ensemble: BoolArray,
    mirrored: Mapping[str, BoolArray],
    labels: IntArray,
    *,
    baseline: str,
    challenger: str,
    metric: Metric,
    confidence: float,
    lowest: Mapping[str, int] | None = None,
) -> list[Row]:
    """The ensemble of the baseline's networks, then each arm of `mirrored` with test-time augmentation.

    correct: answers of baseline and challenger, bool [S, n]. ensemble: bool [n]. mirrored: bool [S, n] by arm.
    lowest: per arm its worst class on validation, needed for the metric worst_class only.
    """
    rows: list[tuple[Way, str]] = [("ensemble", baseline), *(("mirrored", arm) for arm in mirrored)]
    names = {(way, arm): f"{way} of {arm}" for way, arm in rows}
    answers = {names["ensemble", baseline]: ensemble[None]}
    answers |= {names["mirrored", arm]: found for arm, found in mirrored.items()}
    worst = None if lowest is None else {**lowest, **{name: lowest[arm] for (_, arm), name in names.items()}}
    comparison = Comparison({**correct, **answers}, labels, lowest=worst)
    tail = (1.0 - confidence) / 2.0
    return [
        Row(
            way,
            arm,
            len(correct[arm]) if way == "ensemble" else 2,
            comparison.score(name, metric, tail=tail),
            comparison.differ(name, baseline, metric, tail=tail),
            comparison.differ(name, challenger, metric, tail=tail),
        )
        for (way, arm), name in names.items()
    ]
