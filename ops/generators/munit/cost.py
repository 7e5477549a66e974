"""Estimate the cost of MUNIT on this machine by timing a few real steps and draws."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from ops.generators.munit.fitting import learn
from ops.generators.munit.network import build_munit, describe_munit
from ops.generators.protocol import Cost, Fitting
from ops.machine.parallel import start_threads
from ops.machine.precision import resolve_precision
from ops.recipe.munit import MunitSettings
from ops.training.checkpoint import Checkpoints

FIRST_STEPS, TIMED_STEPS = (1, 2), (2, 8)  # before the timed ones, and timed ones
ENOUGH = 4.0  # seconds; where the timed steps would take longer, the first ones are enough
DRAWN = 16  # images of a timed draw


def estimate_munit(settings: MunitSettings, shape: tuple[int, int, int], classes: int) -> Cost:
    """Time a few training steps on noise. Drawing is timed on one thread in fp32; ONNX Runtime is about as fast."""
    images = torch.randint(0, 256, (4 * classes, *shape), dtype=torch.uint8)
    labels = torch.arange(4 * classes) % classes
    precision = resolve_precision(settings.precision)
    with tempfile.TemporaryDirectory() as name, start_threads() as pool:
        folder = Path(name)
        fitting = Fitting(images, labels, tuple(map(str, range(classes))), 0, folder, folder, folder)
        munit = build_munit(
            {**fitting.describe("munit"), **describe_munit(settings)}, spectral_norm=settings.spectral_norm
        )

        def time_steps(before: int, timed: int) -> float:
            short, stamps = settings.model_copy(update={"steps": before + timed}), list[float]()
            learn(
                munit,
                short,
                images,
                labels,
                Checkpoints(folder / str(timed), 1),
                seed=0,
                pool=pool,
                precision=precision,
                on_step=lambda step, loss: stamps.append(time.perf_counter()),
            )
            return float(np.median(np.diff(stamps[before - 1 :])))

        per_step = time_steps(*FIRST_STEPS)
        if per_step * TIMED_STEPS[1] < ENOUGH:
            per_step = time_steps(*TIMED_STEPS)
        x, z, seconds = torch.zeros(DRAWN, *shape), torch.zeros(DRAWN, settings.style), []
        for _ in range(3):
            started = time.perf_counter()
            with torch.inference_mode():
                munit.makers.vary(x, z)
            seconds.append(time.perf_counter() - started)
    return Cost(per_step * settings.steps, per_step, min(seconds) / DRAWN)
