"""Estimate the cost of kind `instance` on this machine by timing a few real steps of both trainings, and draws."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from ops.generators.denoising.cost import ENOUGH, FIRST_STEPS, TIMED_STEPS, estimate_denoiser
from ops.generators.instance.contrast import learn_encoder
from ops.generators.instance.flow import InstanceFlow
from ops.generators.instance.guessing import add_encoder
from ops.generators.instance.network import Encoder
from ops.generators.instance.sizes import Shape, list_widths
from ops.generators.protocol import Cost
from ops.machine.parallel import start_threads
from ops.machine.precision import resolve_precision
from ops.recipe.generator import SamplerSettings
from ops.recipe.instance import InstanceSettings
from ops.training.checkpoint import Checkpoints

TIMED_IMAGES = 8  # of a timed pass of the encoder


def estimate_instance(maths: InstanceFlow, settings: InstanceSettings, sampler: SamplerSettings, shape: Shape) -> Cost:
    """Time a few training steps on noise. Drawing is timed on one thread in fp32; ONNX Runtime is about as fast.

    The flow is timed with a label in the features' place, which makes no difference that could be measured.
    """
    encoder = Encoder(shape, widths=list_widths(settings.encoder, shape), features=settings.encoder.features)
    step = _time_steps(encoder, settings, shape)
    flow = estimate_denoiser(maths, settings, sampler, shape, 1, lambda *_: 0.0)
    return add_encoder(flow, settings, step, _time_encoding(encoder, shape))


def _time_steps(encoder: Encoder, settings: InstanceSettings, shape: Shape) -> float:
    """Seconds of a training step."""
    images = torch.randint(0, 256, (settings.encoder.batch_size, *shape), dtype=torch.uint8)
    precision = resolve_precision(settings.precision)

    def measure(before: int, timed: int) -> float:
        own, stamps = settings.encoder.model_copy(update={"steps": before + timed}), list[float]()
        with tempfile.TemporaryDirectory() as folder, start_threads() as pool:
            learn_encoder(
                encoder,
                own,
                images,
                Checkpoints(Path(folder), 1),
                seed=0,
                precision=precision,
                pool=pool,
                on_step=lambda step, loss: stamps.append(time.perf_counter()),
            )
        return float(np.median(np.diff(stamps[before - 1 :])))

    seconds = measure(*FIRST_STEPS)
    return measure(*TIMED_STEPS) if seconds * TIMED_STEPS[1] < ENOUGH else seconds


def _time_encoding(encoder: Encoder, shape: Shape) -> float:
    """Seconds of encoding an image."""
    seconds, images = list[float](), torch.zeros(TIMED_IMAGES, *shape)
    for _ in range(3):
        started = time.perf_counter()
        with torch.inference_mode():
            encoder.encode(images)
        seconds.append(time.perf_counter() - started)
    return min(seconds) / TIMED_IMAGES
