"""Estimate the cost of MUNIT on this machine by timing a few real steps and draws."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import torch

from ops.generators.munit.fitting import learn
from ops.generators.munit.network import build_munit, describe_munit
from ops.generators.protocol import Cost, Fitting
from ops.generators.timing import make_stand_in, time_call, time_steps
from ops.machine.parallel import start_threads
from ops.machine.precision import resolve_precision
from ops.recipe.munit import MunitSettings
from ops.training.checkpoint import Checkpoints

FIRST_STEPS, TIMED_STEPS = (1, 2), (2, 8)  # before the timed ones, and timed ones
DRAWN = 16  # images of a timed draw


def estimate_munit(settings: MunitSettings, shape: tuple[int, int, int], classes: int) -> Cost:
    """Time a few training steps on noise. Drawing is timed on one thread in fp32; ONNX Runtime is about as fast."""
    images, labels = make_stand_in(shape, classes)
    precision = resolve_precision(settings.precision)
    with tempfile.TemporaryDirectory() as name, start_threads() as pool:
        folder = Path(name)
        fitting = Fitting(images, labels, tuple(map(str, range(classes))), 0, folder, folder, folder)
        munit = build_munit(
            {**fitting.describe("munit"), **describe_munit(settings)}, spectral_norm=settings.spectral_norm
        )

        def train(count: int, checkpoints: Checkpoints, on_step: Callable[[int, float], None]) -> None:
            short = settings.model_copy(update={"steps": count})
            learn(munit, short, images, labels, checkpoints, seed=0, pool=pool, precision=precision, on_step=on_step)

        per_step = time_steps(train, FIRST_STEPS, TIMED_STEPS)
    x, z = torch.zeros(DRAWN, *shape), torch.zeros(DRAWN, settings.style)
    return Cost(per_step * settings.steps, per_step, time_call(lambda: munit.makers.vary(x, z)) / DRAWN)
