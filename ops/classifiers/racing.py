"""Leave out arms that one training shows to be far behind, so that the other seeds are spent where it is close.

An arm is left out if it lies clearly below the best arm of its kind on the validation images of one seed. Seeds differ,
too, and that is not seen here, so the limit in standard errors must be high. The rule is the same for all kinds, and it
sees no test image.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ops.recipe.arms import Arm
from ops.recipe.automatic import uses_generated
from ops.recipe.contrastive_arms import is_contrastive
from ops.recipe.counterparts import list_teachers
from ops.recipe.design import Metric
from ops.statistics.paired import find_cautious_error, find_error, sum_draws
from ops.verdict.estimate import BoolArray, IntArray
from ops.verdict.metric import weigh_images

REAL = "real"  # plain training, which every recipe has


@dataclass(frozen=True)
class LeftOut:
    """Why an arm was left out: its score in 0..1, the arm that it is behind, by how much, and the standard error."""

    validation: float
    against: str
    behind: float
    standard_error: float

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def race(
    arms: Mapping[str, Arm],
    correct: Mapping[str, BoolArray],
    labels: IntArray,
    metric: Metric,
    errors: float | None,
    teachers: Collection[str] = (),
    seeing: Collection[str] = (),
    units: IntArray | None = None,
) -> dict[str, LeftOut]:
    """The arms of a side to leave out, by `find_hopeless`; None leaves out none.

    Plain training stays, and so do teachers: those of `arms`, and `teachers` of arms that are trained later. Placebos
    race among themselves: they are no arms with generated images. So do those whose images the controller left out, or
    no arm with any might stay. So do the arms `seeing` a prior's pool: beside them all others would be left out, and a
    verdict is to name the best of either. And so do those that learn without labels, whose question is what generated
    images add to each other's scores.
    """
    if errors is None:
        return {}
    kept, found = {REAL, *list_teachers(arms), *teachers}, dict[str, LeftOut]()
    groups: dict[tuple[bool, ...], dict[str, BoolArray]] = {}
    for name, each in correct.items():
        arm = arms[name]
        alike = arm.placebo.kind != "none", uses_generated(arm), name in seeing, is_contrastive(arm)
        groups.setdefault(alike, {})[name] = each
    for group in groups.values():
        found |= find_hopeless(group, labels, metric, errors=errors, kept=kept, units=units)
    return found


def find_hopeless(
    correct: Mapping[str, BoolArray],
    labels: IntArray,
    metric: Metric,
    *,
    errors: float,
    kept: Collection[str],
    units: IntArray | None = None,
) -> dict[str, LeftOut]:
    """The arms that lie more than `errors` standard errors below the best one; never one of `kept`.

    correct: answers of one network of each arm, bool [n]. labels: int [n]. The best arm is that of `metric`, where the
    accuracy of the worst class is judged as balanced accuracy. The error is that of paired answers to the images, or to
    the units int [n] that are one draw each; of these as if one more differed as much as the most different one,
    because few units may agree by chance.
    """
    weights = weigh_images(labels, metric)
    scores = {arm: float(answers @ weights) for arm, answers in correct.items()}
    best = max(scores, key=lambda arm: scores[arm])
    found = {}
    for arm, answers in correct.items():
        gaps = sum_draws(weights * (correct[best].astype(np.float64) - answers), units)
        behind, error = float(gaps.sum()), (find_error if units is None else find_cautious_error)(gaps)
        if arm not in kept and behind > errors * error:
            found[arm] = LeftOut(scores[arm], best, behind, error)
    return found


def pack_bits(correct: np.ndarray) -> str:
    """bool [n] as text."""
    return f"{len(correct)}:{np.packbits(correct).tobytes().hex()}"


def unpack_bits(text: str) -> np.ndarray:
    """bool [n], from `pack_bits`."""
    count, _, digits = text.partition(":")
    return np.unpackbits(np.frombuffer(bytes.fromhex(digits), np.uint8), count=int(count)).astype(np.bool_)
