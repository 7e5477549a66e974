"""Which generated images are rejected, and why. Rejected rows are kept with their reasons and scores.

A rule compares one score with a threshold for each class, or takes a plain yes. Scores do not know thresholds, so
thresholds can be changed without drawing or scoring an image again. How scores come about is not known here.
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

Columns = Mapping[str, np.ndarray]  # scores by name, one value an image


@dataclass(frozen=True)
class Rule:
    """A reason to reject an image.

    score: the column that decides. side: where the suspicious end is; None for a column of yes and no. key: the
    recipe key of section `filter` that sets the threshold; None: always on. A rule with `unless` skips images that
    have that reason. real_score: the held-out real images' column that calibrates the rule, if it is not `score`.
    extreme: the worst value of a score that measures how much is left of a picture. parts: of a reason that several
    rules find, how many; each may reject its part of the share. calibrated_only: a threshold that the recipe gives is
    meant for another rule of this reason, and this one is then off. above_chance: the score is a probability of the
    label, so the threshold is at least 1/K (chance), however many real images that rejects.
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


RULES = (
    Rule("unsafe", "unsafe_probability", "above", "safety.cut"),
    Rule("blank", "structure", "below", "blank", extreme=0.0),
    Rule("saturated", "saturation", "above", "saturated", extreme=1.0),
    Rule("wrong_label", "label_probability", "below", "wrong_label", above_chance=True),
    Rule("clip_disagrees", "clip_agreement", "below", "clip.cut"),
    Rule("atypical", "typicality", "below", "atypical", parts=2),
    Rule("atypical", "naturalness", "below", "atypical", parts=2, calibrated_only=True),
    Rule("copy_of_train", "copy_of_train"),
    Rule("near_copy_of_train", "train_distance", "below", "near_copy", unless="copy_of_train"),
    # A variant's own parent counts here alone. The limit is that of held-out images' distances to training images.
    Rule(
        "near_copy_of_parent",
        "parent_distance",
        "below",
        "near_parent",
        unless="copy_of_train",
        real_score="train_distance",
    ),
    Rule("copy_of_held_out", "copy_of_held_out"),
    # The audit tunes nothing: it cuts where copies of training images are cut.
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
        """Plain values, a list entry a class, null where there is none."""
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
    """The limits of the rules that are on, from the scores of held-out real images with labels int [n]."""
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
    """bool [n] for each rule that is on, by reason, in the order of RULES."""
    on = {limit.rule: limit for limit in limits}
    found: dict[str, np.ndarray] = {}
    for rule in RULES:
        if rule.side is None:
            found[rule.reason] = scores[rule.score].astype(bool)
        elif rule in on:
            beyond = on[rule].thresholds.find_beyond(scores[rule.score], labels)
            if rule.unless:
                beyond &= ~found[rule.unless]
            found[rule.reason] = found[rule.reason] | beyond if rule.reason in found else beyond
    return found


def count_passing(found: Mapping[str, np.ndarray], units: np.ndarray, count: int) -> np.ndarray:
    """Images of each of `count` units that no rule rejects, int [count]; `units` int [n] says whose each image is."""
    return np.bincount(units[~np.any(list(found.values()), axis=0)], minlength=count)


def decide(found: Mapping[str, np.ndarray], units: np.ndarray, wanted: Sequence[int]) -> list[list[str]]:
    """Reasons to reject each image, empty for those that are kept.

    Images that pass every rule are kept in order until their unit, int [n], has what is `wanted` of it; the rest are
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
