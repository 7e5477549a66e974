"""The outputs of the stage `accepted_images`, as the funnel, the report and the card read them.

It reads index.parquet, rules.json, rounds.json and held_out_scores.parquet, and the plan; no pixels. How scores and
thresholds were computed is not known here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import polars as pl

from ops.datasets.index import read_index
from ops.errors import DamagedData
from ops.files.outputs import HELD_OUT_SCORES, PLAN, ROUNDS, RULES
from ops.files.storage import read_json
from ops.filters.copying import CopyingFindings, examine_copying
from ops.filters.funnel import Funnel, count_funnel
from ops.filters.labels import Skill, measure_skill
from ops.filters.reasons import DUPLICATION, REASONS, SURPLUS
from ops.planning.plan import ClassPlan, ExpansionPlan
from ops.stages.refused import REFUSED, read_refused

STOPPED = {  # why drawing stopped for a class
    "quota": "full",
    "budget": "the budget of draws is spent",
    "stall": "too few draws passed to go on",
    "rounds": "the last allowed round is over",
    REFUSED: "its variants are refused",
}


@dataclass(frozen=True)
class AppliedRule:
    """A rule as it was applied; lists have one entry per class, in label order.

    An image breaks the rule if its `score` lies on that `side` of its class's threshold; None: the class has none.
    calibrated: whether held-out real images set the thresholds, `calibration_images` of them. pooled: whether the class
    had too few and took the threshold of all classes. real_rejected: share of held-out real images that break the
    rule, None where unknown.
    """

    reason: str
    score: str
    side: Literal["below", "above"]
    thresholds: tuple[float | None, ...]
    calibrated: bool
    calibration_images: tuple[int, ...]
    real_rejected: tuple[float | None, ...]
    pooled: tuple[bool, ...]

    @property
    def range(self) -> tuple[float, float] | None:
        """The lowest and the highest threshold; None if no class has one."""
        limits = [limit for limit in self.thresholds if limit is not None]
        return (min(limits), max(limits)) if limits else None

    @staticmethod
    def from_dict(entry: dict[str, Any]) -> AppliedRule:
        """The rule of an entry of rules.json; KeyError where a field is missing."""
        known: dict[str, Any] = {
            field.name: tuple(value) if isinstance(value := entry[field.name], list) else value
            for field in fields(AppliedRule)
        }
        return AppliedRule(**known)

    def find_broken(self, scores: pl.DataFrame) -> np.ndarray:
        """Which rows break the rule, bool [n]. A row without a score breaks none; without that column no row does."""
        if self.score not in scores.columns:
            return np.zeros(len(scores), bool)
        values = scores[self.score].cast(pl.Float64).fill_null(np.nan).to_numpy()
        limits = np.array([np.nan if limit is None else limit for limit in self.thresholds])[scores["label"].to_numpy()]
        return values < limits if self.side == "below" else values > limits

    def reject_real(self, counts: Sequence[int]) -> float | None:
        """Share of all held-out real images, `counts` per class, that break the rule; None where unknown."""
        known = [(share, count) for share, count in zip(self.real_rejected, counts, strict=True) if share is not None]
        total = sum(count for _, count in known)
        return sum(share * count for share, count in known) / total if total else None


@dataclass(frozen=True, eq=False)
class Results:
    """index: every generated image with its round, reasons and scores. held_out: the scores of real validation images.

    stopped: a key of STOPPED for each class. plan: each class's name and counts, in label order; a class whose variants
    are refused wants no images.
    """

    index: pl.DataFrame
    held_out: pl.DataFrame
    rules: tuple[AppliedRule, ...]
    stopped: tuple[str, ...]
    plan: tuple[ClassPlan, ...]

    @property
    def class_names(self) -> list[str]:
        return [entry.name for entry in self.plan]

    @property
    def is_safety_checked(self) -> bool:
        """Whether a safety classifier scored any image, or a checker of the generator's own looked at them."""
        return "flagged" in self.index or self.index["unsafe_probability"].null_count() < len(self.index)

    @property
    def flagged(self) -> int | None:
        """Drawn images that a safety checker of the generator's own flagged; None where none looked."""
        return int(self.index["flagged"].sum()) if "flagged" in self.index.columns else None

    @property
    def flagged_sentence(self) -> str | None:
        """How many these are, without a full stop."""
        if self.flagged is None:
            return None
        share = 100 * self.flagged / max(1, len(self.index))
        return (
            f"the generator's own safety checker flagged {self.flagged:,} of {len(self.index):,} drawn images"
            f" ({share:.1f} %)"
        )

    @property
    def held_out_counts(self) -> list[int]:
        return np.bincount(self.held_out["label"].to_numpy(), minlength=len(self.plan)).tolist()

    @property
    def doubt(self) -> str | None:
        """A warning if the scorer is near chance, else None."""
        skill = read_skill(self.held_out, len(self.plan))
        return None if skill is None else skill.doubt

    @property
    def assigned(self) -> dict[str, float] | None:
        """Shares of the drawn and of the held-out real images that the scorer puts in their class, classes weighted
        equally; None where predictions are missing or the scorer is near chance."""
        real, drawn = (read_skill(rows, len(self.plan)) for rows in (self.held_out, self.index))
        if real is None or drawn is None or real.is_near_chance:
            return None
        return {"generated": drawn.accuracy, "real": real.accuracy}

    @cached_property
    def funnel(self) -> Funnel:
        return count_funnel(self.index, self.class_names, [entry.wanted for entry in self.plan])

    @property
    def shown_reasons(self) -> list[str]:
        """The reasons that a funnel shows, in order: those with a rule, and those that were found."""
        applied = {rule.reason for rule in self.rules}
        return [reason for reason in REASONS if reason in applied or self.funnel.total.flagged[reason]]

    @cached_property
    def copying(self) -> CopyingFindings:
        """The test for copying, on generated and held-out images that break no rule of quality.

        Blank images would hide copies, because they lie far from every training image. Rules that prefer typical images
        bring images nearer to the training images, so they are applied to both sides.
        """
        quality = [rule for rule in self.rules if rule.reason not in DUPLICATION]
        allowed = pl.lit([*DUPLICATION, SURPLUS])
        judged = self.index.filter(pl.col("reasons").list.set_difference(allowed).list.len() == 0)
        broken = np.zeros(len(self.held_out), bool)
        for rule in quality:
            broken |= rule.find_broken(self.held_out)
        real = self.held_out.filter(~broken)
        return examine_copying(*_read_distances(judged), *_read_distances(real), self.find_limits("near_copy_of_train"))

    def to_dict(self) -> dict[str, Any]:
        """The funnel, the rules, the test for copying and why each class stopped, as plain values for JSON."""
        return {
            **self.funnel.to_dict(),
            "stopped": dict(zip(self.class_names, self.stopped, strict=True)),
            "rules": [
                {**asdict(rule), "real_rejected_in_all": rule.reject_real(self.held_out_counts)} for rule in self.rules
            ],
            "copying": self.copying.to_dict(),
            "doubt": self.doubt,
            "safety_checked": self.is_safety_checked,
            "flagged_by_checker": self.flagged,
        }

    def find_limits(self, reason: str) -> tuple[float | None, ...]:
        """The thresholds of the rule with this reason; None for every class if there is no such rule."""
        found = [rule.thresholds for rule in self.rules if rule.reason == reason]
        return found[0] if found else (None,) * len(self.plan)


def read_results(accepted: Path, plan: Path) -> Results:
    """The outputs of the stages `accepted_images` and `expansion_plan`; DamagedData where they do not fit."""
    classes = ExpansionPlan.from_dict(read_json(plan / PLAN)).without(read_refused(accepted) or {}).classes
    rules = tuple(AppliedRule.from_dict(entry) for entry in read_json(accepted / RULES)["rules"])
    stopped = tuple(read_json(accepted / ROUNDS)["stopped"])
    for name, length in ((ROUNDS, len(stopped)), *((RULES, len(rule.thresholds)) for rule in rules)):
        if length != len(classes):
            raise DamagedData(f"{accepted / name} is of {length} classes, the plan of {len(classes)}")
    held_out = pl.read_parquet(accepted / HELD_OUT_SCORES, glob=False)
    return Results(read_index(accepted), held_out, rules, stopped, classes)


def read_skill(scores: pl.DataFrame, classes: int) -> Skill | None:
    """The scorer's accuracy, from the scores of images that it has not seen; None where predictions are missing, or
    where there is nothing to predict."""
    if "predicted" not in scores.columns or classes == 1:
        return None
    return measure_skill(scores["predicted"].to_numpy(), scores["label"].to_numpy(), classes)


def _read_distances(scores: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Distances to the training images, NaN where they were not measured, and labels."""
    return scores["train_distance"].cast(pl.Float64).fill_null(np.nan).to_numpy(), scores["label"].to_numpy()
