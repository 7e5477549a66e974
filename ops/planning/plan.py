"""How many images to generate per class, at first and at most, and what the first round will cost in bytes."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ops.files.outputs import PLAN
from ops.files.storage import read_json
from ops.recipe.schema import PlanSettings


@dataclass(frozen=True)
class ClassPlan:
    """One class: real training images, generated images wanted after filtering, images that the first round draws for
    that, and images that all rounds together may draw.
    """

    name: str
    real: int
    wanted: int
    drawn: int
    limit: int


@dataclass(frozen=True)
class ExpansionPlan:
    """The plan per class, in label order, and how many rounds of generation there may be."""

    classes: tuple[ClassPlan, ...]
    rounds: int

    @property
    def wanted(self) -> int:
        return sum(entry.wanted for entry in self.classes)

    @property
    def drawn(self) -> int:
        return sum(entry.drawn for entry in self.classes)

    @property
    def limit(self) -> int:
        return sum(entry.limit for entry in self.classes)

    def to_dict(self) -> dict[str, Any]:
        return {
            "wanted": self.wanted,
            "drawn": self.drawn,
            "limit": self.limit,
            "rounds": self.rounds,
            "classes": [asdict(entry) for entry in self.classes],
        }

    @staticmethod
    def from_dict(value: dict[str, Any]) -> ExpansionPlan:
        return ExpansionPlan(tuple(ClassPlan(**entry) for entry in value["classes"]), value["rounds"])


def read_plan(folder: Path) -> ExpansionPlan:
    """The plan that lies in the stage's folder."""
    return ExpansionPlan.from_dict(read_json(folder / PLAN))


def plan_expansion(counts: np.ndarray, class_names: tuple[str, ...], settings: PlanSettings) -> ExpansionPlan:
    """Wanted images per class from the real counts int [K].

    `keep` grows every class by the ratio. `equalise` spends the same total so that classes end equally
    large (a class already larger than that gets none).
    """
    if settings.balance == "keep":
        wanted = np.round(counts * settings.ratio).astype(int)
    else:
        wanted = np.maximum(0, _level(counts, settings.ratio * counts.sum()) - counts)
    return ExpansionPlan(
        tuple(
            ClassPlan(
                name, int(real), int(want), math.ceil(want * settings.overdraw), math.ceil(want * settings.budget)
            )
            for name, real, want in zip(class_names, counts, wanted, strict=True)
        ),
        settings.rounds,
    )


def _level(counts: np.ndarray, budget: float) -> int:
    """The class size reached when `budget` images fill up the smallest classes first, as water does."""
    ordered = np.sort(counts)
    for k in range(1, len(ordered) + 1):
        level = (ordered[:k].sum() + budget) / k
        if k == len(ordered) or level <= ordered[k]:
            return round(level)
    raise AssertionError("unreachable: the last class always returns")


def estimate_bytes(plan: ExpansionPlan, shape: tuple[int, int, int]) -> int:
    """Bytes of the first round's images in stored form, [height, width, channels] each."""
    return plan.drawn * (math.prod(shape) + 200)
