"""How many images to generate per class, in the first round and at most, and the first round's size in bytes."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ops.errors import UserError
from ops.files.outputs import PLAN
from ops.files.storage import read_json
from ops.recipe.sections import PlanSettings

SHARE = 3  # of a class's images one in so many is a seed image where these are the hard ones
Seeds = Literal["all", "hard"]


@dataclass(frozen=True)
class ClassPlan:
    """One class.

    real: training images. wanted: generated images to accept. drawn: images that the first round draws. limit: images
    that all rounds together may draw.
    """

    name: str
    real: int
    wanted: int
    drawn: int
    limit: int


@dataclass(frozen=True)
class ExpansionPlan:
    """The plan per class, in label order, the maximal number of rounds of generation, and of which training images
    variants are made, by a generator of variants."""

    classes: tuple[ClassPlan, ...]
    rounds: int
    seeds: Seeds = "all"

    @property
    def wanted(self) -> int:
        return sum(entry.wanted for entry in self.classes)

    @property
    def drawn(self) -> int:
        return sum(entry.drawn for entry in self.classes)

    @property
    def limit(self) -> int:
        return sum(entry.limit for entry in self.classes)

    @property
    def seed_images(self) -> int:
        """Of all classes."""
        return sum(map(self.count_seeds, self.classes))

    def count_seeds(self, entry: ClassPlan) -> int:
        """The seed images of a class, for a generator of variants."""
        return entry.real if self.seeds == "all" else int(count_hard(np.array(entry.real)))

    def without(self, names: Collection[str]) -> ExpansionPlan:
        """The same plan, in which the classes of these names want no images, draw none and may draw none."""
        return replace(
            self,
            classes=tuple(
                replace(entry, wanted=0, drawn=0, limit=0) if entry.name in names else entry for entry in self.classes
            ),
        )

    def to_dict(self) -> dict[str, Any]:
        return {
            "wanted": self.wanted,
            "drawn": self.drawn,
            "limit": self.limit,
            "rounds": self.rounds,
            **({} if self.seeds == "all" else {"seeds": self.seeds, "seed_images": self.seed_images}),
            "classes": [asdict(entry) for entry in self.classes],
        }

    @staticmethod
    def from_dict(value: dict[str, Any]) -> ExpansionPlan:
        classes = tuple(ClassPlan(**entry) for entry in value["classes"])
        return ExpansionPlan(classes, value["rounds"], value.get("seeds", "all"))


def read_plan(folder: Path) -> ExpansionPlan:
    """The plan in the folder of the stage expansion_plan."""
    return ExpansionPlan.from_dict(read_json(folder / PLAN))


def plan_expansion(counts: np.ndarray, class_names: tuple[str, ...], settings: PlanSettings) -> ExpansionPlan:
    """The plan from the classes' real counts int [K].

    `keep` grows every class by the ratio. `equalise` spends the same total so that classes end equally
    large (a class that is already larger gets none).
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
        settings.seeds,
    )


def require_growth(plan: ExpansionPlan, settings: PlanSettings) -> None:
    """UserError if no class is to get an image: the ratio is too small for so few."""
    if not plan.wanted:
        real = sum(entry.real for entry in plan.classes)
        raise UserError(f"plan.ratio {settings.ratio:g} adds no image to {real} real ones; raise it")


def count_hard(sizes: np.ndarray) -> np.ndarray:
    """How many images of classes of these sizes are the third that is learnt worst, rounded up."""
    return -(-sizes // SHARE)


def _level(counts: np.ndarray, budget: float) -> int:
    """The class size reached when `budget` images fill up the smallest classes first (water-filling)."""
    ordered = np.sort(counts)
    for k in range(1, len(ordered) + 1):
        level = (ordered[:k].sum() + budget) / k
        if k == len(ordered) or level <= ordered[k]:
            return round(level)
    raise AssertionError("unreachable: the last class always returns")


def estimate_bytes(plan: ExpansionPlan, shape: tuple[int, int, int]) -> int:
    """Approximate stored bytes of the first round's images, each of `shape` [height, width, channels]."""
    return plan.drawn * (math.prod(shape) + 200)
