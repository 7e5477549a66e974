"""The cost of arms that learn from more than labels: a step of the demo's classifier with it against a plain step.

Each side is a training of its own in a thread of its own, and one of them takes a step at a time, in an order that is
drawn anew every round. Time is that of the processor, so that programs beside it disturb little, and a step is compared
with the plain step of its own round. Five teachers are measured as they answer in a training, with their batch
normalisations folded away, and once more as they are stored. Pixels and weights are random, because speed does not
depend on them. Half of the images count as generated.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.parts.harness import Row, use_cores, write_result
from benchmarks.parts.stepping import Steps
from ops.classifiers.data import TrainingSet
from ops.classifiers.networks.classifier import Classifier
from ops.classifiers.training import train
from ops.recipe.arms import Arm
from ops.recipe.classifiers import ClassifierSettings
from ops.recipe.costs import measure_cost

ROUNDS, UNMEASURED = 150, 20  # first steps allocate memory, and prepare kernels for each size of a part of a batch
IMAGES, CLASSES, TEACHERS = 1_000, 10, 5
SHAPES = {"grey, 28 x 28": (1, 28, 28), "colour, 32 x 32": (3, 32, 32)}
TAUGHT = {"targets": {"kind": "teacher", "of": "mixup", "images": "all"}}
STORED = "five teachers as they are stored"
SIDES: dict[str, dict[str, Any]] = {
    "plain": {},
    "five teachers": TAUGHT,
    STORED: TAUGHT,
    "consistency": {"consistency": "ema"},
    "separate: norm": {"separate": "norm"},
}


def run(rounds: int = ROUNDS) -> Path:
    """Measure, write results/guidance.json."""
    rows: list[Row] = []
    ratios: dict[str, float] = {}
    with use_cores(1):
        for name, shape in SHAPES.items():
            steps = time_steps(make_noise(shape), rounds)
            rows.append(Row(f"{name}: plain step", round(1e3 * float(np.median(steps[:, 0])), 2), "ms"))
            times = np.median(steps / steps[:, :1], axis=0)
            for side, found in list(zip(SIDES, times.tolist(), strict=True))[1:]:
                rows.append(Row(f"{name}: {side}", round(found, 2), "x a plain step"))
                ratios[f"guidance_cost: {name}, {side}"] = found
    counted = {side: round(measure_cost(Arm.model_validate(keys), TEACHERS), 2) for side, keys in SIDES.items()}
    return write_result(
        "guidance", rows, ratios, batch_size=ClassifierSettings().batch_size, rounds=rounds, counted=counted
    )


def time_steps(data: TrainingSet, rounds: int) -> np.ndarray:
    """Processor seconds of a whole step, float64 [rounds, sides]."""
    budget = ClassifierSettings(steps=UNMEASURED + rounds)
    networks = [Classifier(budget.network, data.shape, data.classes).eval() for _ in range(TEACHERS)]
    found = np.zeros((budget.steps, len(SIDES)))
    with ExitStack() as stack:
        trainings = [stack.enter_context(start_training(data, side, budget, networks)) for side in SIDES]
        for round_ in range(budget.steps):
            for side in np.random.default_rng(round_).permutation(len(SIDES)):
                found[round_, side] = trainings[side].take()
    return found[UNMEASURED:]


@contextmanager
def start_training(
    data: TrainingSet, side: str, budget: ClassifierSettings, networks: Sequence[Classifier]
) -> Iterator[Steps]:
    """The training of a side, about to take its first step."""
    arm = Arm.model_validate({"augmentation": "flip_crop", **SIDES[side]})
    taught = arm.targets.kind == "teacher"
    # A function is asked as it is; a network would be folded.
    teachers = [partial(network) if side == STORED else network for network in networks] if taught else []
    steps = Steps(
        lambda on_step: train(
            data, arm, budget, learning_rate=0.02, weight_decay=0.1, seed=0, on_step=on_step, teachers=teachers
        )
    )
    yield steps
    steps.end()


def make_noise(shape: tuple[int, int, int]) -> TrainingSet:
    """Random images of equally large classes; every other one counts as generated."""
    images = torch.randint(0, 256, (IMAGES, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    generated = np.arange(IMAGES) // CLASSES % 2 == 1
    return TrainingSet(images, torch.arange(IMAGES) % CLASSES, np.ones(IMAGES), CLASSES, generated)
