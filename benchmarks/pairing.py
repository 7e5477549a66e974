"""The cost of each pairing: a step of the demo's classifier with it against the same step without.

One training takes all of them in turn, a step each, in an order that is drawn anew every round. Time is that of the
processor, so that programs beside it disturb little. The cost is the time inside the pairing as a share of a plain
step. Whole steps are compared too, each with the plain step of its own round, because a pairing may also slow the rest
down; beside other programs this is right to about one percentage point. SamplePairing is measured while it is on, and
once more by its published schedule. Pixels are random, because speed does not depend on them.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor

from benchmarks.parts.harness import Row, use_cores, write_result
from ops.classifiers.blending import Schedule
from ops.classifiers.data import TrainingSet, Views
from ops.classifiers.ingredients import Budget, Pairing
from ops.classifiers.pairings import PAIRINGS
from ops.classifiers.training import train
from ops.recipe.arms import Arm
from ops.recipe.classifiers import ClassifierSettings
from ops.recipe.ingredients.pairings import SamplePairing

ROUNDS, UNMEASURED = 150, 5  # the first steps of a training allocate memory
IMAGES, CLASSES = 1_000, 10
SHAPES = {"grey, 28 x 28": (1, 28, 28), "colour, 32 x 32": (3, 32, 32)}
PARTS = dict(PAIRINGS)
ALWAYS = {"start": 0.0, "until": 1.0, "on_for": 1.0, "off_for": 1.0}
SIDES: dict[str, Any] = {
    "plain": "none",
    **{f"mixup per {per}": {"kind": "mixup", "per": per} for per in ("batch", "pair", "element")},
    **{f"cutmix per {per}": {"kind": "cutmix", "per": per} for per in ("batch", "pair", "element")},
    "samplepairing": {"kind": "samplepairing", **ALWAYS},
}


class EachInTurn(Pairing):
    """All sides, one at each step, in a new order every round; the processor seconds of each go to `spent`."""

    def __init__(self, data: TrainingSet, budget: Budget, spent: list[float]) -> None:
        self.spent = spent
        sections = [Arm.model_validate({"pairing": given}).pairing for given in SIDES.values()]
        self.pairings = [PARTS[section.kind](section, data, budget) for section in sections]

    def pair(
        self, images: Tensor, targets: Tensor, views: Views, step: int, rng: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        pairing = self.pairings[find_side(step)]
        started = time.process_time()
        found = pairing.pair(images, targets, views, step, rng)
        self.spent.append(time.process_time() - started)
        return found


def run(rounds: int = ROUNDS) -> Path:
    """Measure, write results/pairing.json."""
    rows: list[Row] = []
    ratios: dict[str, float] = {}
    published = SamplePairing()
    schedule = Schedule(published.start, published.until, published.on_for, published.off_for)
    share = float(np.mean([schedule.is_on(step / 1000) for step in range(1000)]))
    with use_cores(1):
        for name, shape in SHAPES.items():
            steps, inside = time_steps(make_noise(shape), rounds)
            plain = float(np.median(steps[:, 0]))
            rows.append(Row(f"{name}: plain step", round(1e3 * plain, 2), "ms"))
            costs = dict(zip(SIDES, (np.median(inside, axis=0) / plain).tolist(), strict=True))
            costs["samplepairing by the published schedule"] = share * costs["samplepairing"]
            del costs["plain"]
            rows += [Row(f"{name}: {side}", round(100 * cost, 2), "% of a plain step") for side, cost in costs.items()]
            whole = 100 * (np.median(steps / steps[:, :1], axis=0) - 1)
            rows += [
                Row(f"{name}: {side}, whole step", round(excess, 2), "% above a plain step")
                for side, excess in zip(SIDES, whole.tolist(), strict=True)
                if side != "plain"
            ]
            ratios |= {f"pairing_cost: {name}, {side}": cost for side, cost in costs.items()}
    return write_result("pairing", rows, ratios, batch_size=ClassifierSettings().batch_size, rounds=rounds)


def time_steps(data: TrainingSet, rounds: int) -> tuple[np.ndarray, np.ndarray]:
    """Processor seconds of a whole step and of its pairing, each float64 [rounds, sides]."""
    moments: list[float] = []
    spent: list[float] = []
    with patch.dict(PAIRINGS, none=lambda _, data, budget: EachInTurn(data, budget, spent)):
        train(
            data, Arm.model_validate({"augmentation": "flip_crop"}),
            ClassifierSettings(steps=(UNMEASURED + rounds) * len(SIDES)), learning_rate=0.02, weight_decay=0.1, seed=0,
            on_step=lambda step, loss: moments.append(time.process_time()),
        )  # fmt: skip
    found = np.zeros((2, UNMEASURED + rounds, len(SIDES)))
    for step, seconds in enumerate(zip(np.diff(moments), spent[1:], strict=True), start=1):
        found[:, step // len(SIDES), find_side(step)] = seconds
    return found[0, UNMEASURED:], found[1, UNMEASURED:]


def find_side(step: int) -> int:
    """The side whose turn it is at a step."""
    round_, turn = divmod(step, len(SIDES))
    return int(np.random.default_rng(round_).permutation(len(SIDES))[turn])


def make_noise(shape: tuple[int, int, int]) -> TrainingSet:
    """Random images of equally large classes."""
    images = torch.randint(0, 256, (IMAGES, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return TrainingSet(images, torch.arange(IMAGES) % CLASSES, np.ones(IMAGES), CLASSES)
