"""Which generated images are rejected, and why. Rejected rows are kept with their reasons and scores.

A rule compares one score with a threshold for each class, or reads a score that is yes or no. Scores do not depend on
thresholds, so a threshold can change without drawing or scoring an image again. How scores are computed is not known
here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ops.filters.calibration import Side, Thresholds, calibrate, fix
from ops.filters.reasons import SURPLUS

if TYPE_CHECKING:
    from ops.recipe.filtering import FilterSettings
    from ops.settings.cut import Cut

Columns = Mapping[str, np.ndarray]  # scores by name, one value per image


@dataclass(frozen=True)
class Rule:
    """A reason to reject an image.

    score: the column that decides. side: the suspicious end; None for a column of yes and no. key: the recipe key of
    section `filter` that sets the threshold; None: the rule is always on. unless: a reason; images that have it are
    skipped. real_score: the held-out real images' column that calibrates the rule, if it is not `score`. extreme: the
    worst possible value, where the threshold is set halfway to it (`calibrate`). parts: how many rules share this
    reason; each may reject that part of the reason's share of real images. calibrated_only: the rule is off where the
    recipe gives a threshold, which is then that of another rule of this reason. above_chance: the score is a
    probability of the label, so the threshold is at least 1/K (chance), however many real images that rejects.
    sometimes: only the images of some generators have the column.
    """

    reason: str
    score: str
    side: Side | None = None
    key: str | None = None
    unless: str | None = None
    real_score: str | None = None
    extreme: float | None = None
    parts: int = 1
    calibrated_only: bool = False
    above_chance: bool = False
    sometimes: bool = False


RULES = (
    Rule("unsafe", "flagged", sometimes=True),
    Rule("unsafe", "unsafe_probability", "above", "safety.cut"),
    Rule("blank", "structure", "below", "blank", extreme=0.0),
    Rule("saturated", "saturation", "above", "saturated", extreme=1.0),
    Rule("wrong_label", "label_probability", "below", "wrong_label", above_chance=True),
    Rule("clip_disagrees", "clip_agreement", "below", "clip.cut"),
    Rule("atypical", "typicality", "below", "atypical", parts=2),
    Rule("atypical", "naturalness", "below", "atypical", parts=2, calibrated_only=True),
    Rule("copy_of_train", "copy_of_train"),
    Rule("near_copy_of_train", "train_distance", "below", "near_copy", unless="copy_of_train"),
    # Only this rule measures to a variant's own parent. Held-out images' distances to training images calibrate it.
    Rule(
        "near_copy_of_parent",
        "parent_distance",
        "below",
        "near_parent",
        unless="copy_of_train",
        real_score="train_distance",
    ),
    Rule("copy_of_held_out", "copy_of_held_out"),
    # The audit tunes nothing: its threshold is the one calibrated for copies of training images.
    Rule(
        "near_copy_of_held_out",
        "held_out_distance",
        "below",
        "near_copy",
        unless="copy_of_held_out",
        real_score="train_distance",
    ),
    Rule("repeat", "repeat"),
    Rule("near_repeat", "generated_distance", "below", "near_repeat", unless="repeat"),
)


@dataclass(frozen=True)
class Limit:
    """A rule with its thresholds."""

    rule: Rule
    thresholds: Thresholds
    calibrated: bool

    def to_dict(self) -> dict[str, Any]:
        """Plain values; lists have one entry per class, None where unknown."""
        found = self.thresholds
        return {
            "reason": self.rule.reason,
            "score": self.rule.score,
            "side": found.side,
            "calibrated": self.calibrated,
            "thresholds": _plain(found.values),
            "pooled": found.pooled.tolist(),
            "calibration_images": found.counts.tolist(),
            "real_rejected": _plain(found.real_rejected),
        }


def set_limits(real: Columns, labels: np.ndarray, classes: int, settings: FilterSettings) -> list[Limit]:
    """The rules that are on with their thresholds, from scores of held-out real images with labels int [n]."""
    limits = []
    for rule in RULES:
        cut = _find_cut(settings, rule.key) if rule.key else None
        if cut is None or rule.side is None or (rule.calibrated_only and cut.threshold is not None):
            continue
        scores = real[rule.real_score or rule.score]
        if cut.threshold is not None:
            thresholds = fix(scores, labels, classes, cut.threshold, rule.side)
        else:
            share = (cut.real_rejected or 0.0) / rule.parts
            least = 1 / classes if rule.above_chance else None
            thresholds = calibrate(scores, labels, classes, share, rule.side, extreme=rule.extreme, least=least)
        limits.append(Limit(rule, thresholds, cut.threshold is None))
    return limits


def find_reasons(scores: Columns, labels: np.ndarray, limits: Sequence[Limit]) -> dict[str, np.ndarray]:
    """bool [n] by reason, in the order of RULES: whether a rule that is on rejects the image for it."""
    on = {limit.rule: limit for limit in limits}
    found: dict[str, np.ndarray] = {}
    for rule in RULES:
        if rule.sometimes and rule.score not in scores:
            continue
        if rule.side is None:
            found[rule.reason] = scores[rule.score].astype(bool)
        elif rule in on:
            beyond = on[rule].thresholds.find_beyond(scores[rule.score], labels)
            if rule.unless:
                beyond &= ~found[rule.unless]
            found[rule.reason] = found[rule.reason] | beyond if rule.reason in found else beyond
    return found


def count_passing(found: Mapping[str, np.ndarray], units: np.ndarray, count: int) -> np.ndarray:
    """How many images of each of `count` units no rule rejects, int [count]; units: int [n], of the images."""
    return np.bincount(units[~np.any(list(found.values()), axis=0)], minlength=count)


def decide(found: Mapping[str, np.ndarray], units: np.ndarray, wanted: Sequence[int]) -> list[list[str]]:
    """The reasons to reject each image; an image without any is kept.

    Images that break no rule are kept in order until their unit, int [n], has as many as `wanted`; the others are
    surplus.
    """
    reasons: list[list[str]] = [[] for _ in units]
    for name, broken in found.items():
        for place in np.flatnonzero(broken):
            reasons[place].append(name)
    left = list(wanted)
    for row, unit in enumerate(units):
        if not reasons[row]:
            if left[unit] > 0:
                left[unit] -= 1
            else:
                reasons[row].append(SURPLUS)
    return reasons


def _find_cut(settings: FilterSettings, key: str) -> Cut | None:
    """The value of a dotted key; None if it or a section on the way is None."""
    value: Any = settings
    for part in key.split("."):
        value = None if value is None else getattr(value, part)
    return cast("Cut | None", value)


def _plain(values: np.ndarray) -> list[float | None]:
    return [None if np.isnan(value) else round(float(value), 6) for value in values]
