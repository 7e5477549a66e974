"""What an adversarial kind costs: timed on a few real steps and draws, or guessed from its products."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch

from ops.generators.adversarial.design import Design
from ops.generators.adversarial.drawing import Drawing
from ops.generators.adversarial.given import Given
from ops.generators.adversarial.learning import learn_in_turns
from ops.generators.protocol import Cost, Fitting
from ops.generators.timing import make_stand_in, time_call, time_steps
from ops.machine.parallel import start_threads
from ops.machine.precision import resolve_precision
from ops.recipe.adversarial import AdversarialSettings
from ops.training.checkpoint import Checkpoints

FIRST_STEPS, TIMED_STEPS = (1, 2), (2, 8)  # before the timed ones, and timed ones
DRAWN = 16  # images of a timed draw

Settings = TypeVar("Settings", bound=AdversarialSettings)


def estimate_adversarial(
    design: Design[Settings], settings: Settings, shape: tuple[int, int, int], classes: int
) -> Cost:
    """Time a few training steps on noise, as in the middle of a training.

    What only some steps compute is added as its share of a step's products. Drawing is timed on one thread in fp32;
    ONNX Runtime is about as fast.
    """
    images, labels = make_stand_in(shape, classes)
    precision = resolve_precision(settings.precision)
    with tempfile.TemporaryDirectory() as name, start_threads() as pool:
        folder = Path(name)
        fitting = Fitting(images, labels, tuple(map(str, range(classes))), 0, folder, folder, folder)
        pair = design.build_pair({**fitting.describe(design.name), **design.describe(settings, shape)}, settings)
        pair.start_midway()
        given = Given(images, labels, 0, pool, precision)

        def train(count: int, checkpoints: Checkpoints, on_step: Callable[[int, float], None]) -> None:
            short = settings.model_copy(update={"steps": count})
            learn_in_turns(design.make_game(pair, short, given), checkpoints, on_step=on_step)

        products = design.count_products(settings, shape)
        per_step = time_steps(train, FIRST_STEPS, TIMED_STEPS) * (1 + products.rare / products.step)
        noise, label = torch.zeros(DRAWN, *shape), torch.arange(DRAWN) % classes
        drawing = Drawing(pair.maker)
        per_image = time_call(lambda: drawing(noise, label)) / DRAWN
    return Cost(per_step * settings.steps, per_step, per_image)
