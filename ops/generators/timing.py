"""Time a few steps of a training, and a few calls, for an estimate.

Timing stops early where steps are long, so that it takes seconds for images of 128 pixels too. The module does not know
what is trained.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ops.training.checkpoint import Checkpoints

FIRST_STEPS, TIMED_STEPS = (2, 2), (4, 16)  # training steps of an estimate: before the timed ones, and timed ones
ENOUGH = 4.0  # seconds; where the timed steps would take longer, the first ones are enough
CALLS = 3  # of which the fastest counts

Train = Callable[[int, Checkpoints, Callable[[int, float], None]], object]
"""Trains for a number of steps, with checkpoints, and calls a function with step and loss after each."""


def make_stand_in(shape: tuple[int, int, int], classes: int) -> tuple[Tensor, Tensor]:
    """Noise in the place of training images, four of each class: uint8 [n, *shape] and labels int64 [n]."""
    labels = torch.arange(4 * classes) % classes
    return torch.randint(0, 256, (len(labels), *shape), dtype=torch.uint8), labels


def time_steps(train: Train, first: tuple[int, int] = FIRST_STEPS, timed: tuple[int, int] = TIMED_STEPS) -> float:
    """Seconds of a step: the median. `first` and `timed` are two tries: steps before the timed ones, and timed ones."""

    def measure(before: int, count: int) -> float:
        stamps: list[float] = []
        with tempfile.TemporaryDirectory() as folder:
            train(before + count, Checkpoints(Path(folder), 1), lambda step, loss: stamps.append(time.perf_counter()))
        return float(np.median(np.diff(stamps[before - 1 :])))

    seconds = measure(*first)
    return measure(*timed) if seconds * timed[1] < ENOUGH else seconds


def time_call(call: Callable[[], object]) -> float:
    """Seconds of a call without gradients: the fastest of CALLS."""
    seconds: list[float] = []
    for _ in range(CALLS):
        started = time.perf_counter()
        with torch.inference_mode():
            call()
        seconds.append(time.perf_counter() - started)
    return min(seconds)
