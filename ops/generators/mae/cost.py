"""Estimate the cost of kind `mae` on this machine by timing a few real steps, and draws."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from ops.generators.mae.guessing import add_scale
from ops.generators.mae.learning import learn_mae
from ops.generators.mae.network import Mae, build_mae
from ops.generators.mae.sizes import Shape
from ops.generators.protocol import Cost
from ops.generators.timing import time_call, time_steps
from ops.machine.parallel import start_threads
from ops.machine.precision import resolve_precision
from ops.recipe.mae import MaeSettings
from ops.training.checkpoint import Checkpoints
from ops.training.terms import Terms

TIMED_IMAGES = 4  # of a timed pass


def estimate_mae(settings: MaeSettings, network: dict[str, Any], frame: dict[str, Any] | None, shape: Shape) -> Cost:
    """Time a few training steps on noise. Drawing is timed on one thread in fp32; ONNX Runtime is about as fast.

    Weights are random ones: others take as long.
    """
    channels, height, width = shape
    mae = build_mae({"channels": channels, "height": height, "width": width, "network": network, "frame": frame})
    step = 0.0 if settings.weights is not None else _time_steps(mae, settings, shape)
    images, latents = torch.zeros(TIMED_IMAGES, *shape), torch.zeros(TIMED_IMAGES, *mae.mean.shape)
    encode = time_call(lambda: mae.encode(images)) / TIMED_IMAGES
    decode = time_call(lambda: mae.decode(latents)) / TIMED_IMAGES
    return add_scale(settings, step, encode, encode + decode, 1)


def _time_steps(mae: Mae, settings: MaeSettings, shape: Shape) -> float:
    """Seconds of a training step."""
    images = torch.randint(0, 256, (settings.batch_size, *shape), dtype=torch.uint8)
    precision = resolve_precision(settings.precision)

    def train(count: int, checkpoints: Checkpoints, on_step: Callable[[int, float], None]) -> None:
        short = settings.model_copy(update={"steps": count})
        with start_threads() as pool:
            learn_mae(mae, short, images, checkpoints, Terms(0, precision, pool, on_step=on_step))

    return time_steps(train)
