"""Estimate the cost of kind `instance` on this machine by timing a few real steps of both trainings, and draws."""

from __future__ import annotations

from collections.abc import Callable

import torch

from ops.generators.denoising.cost import estimate_denoiser
from ops.generators.instance.contrast import learn_encoder
from ops.generators.instance.flow import InstanceFlow
from ops.generators.instance.guessing import add_encoder
from ops.generators.instance.network import Encoder
from ops.generators.instance.sizes import Shape, list_widths
from ops.generators.protocol import Cost
from ops.generators.timing import time_call, time_steps
from ops.machine.parallel import start_threads
from ops.machine.precision import resolve_precision
from ops.recipe.instance import InstanceSettings
from ops.recipe.sampler import SamplerSettings
from ops.training.checkpoint import Checkpoints
from ops.training.terms import Terms

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

    def train(count: int, checkpoints: Checkpoints, on_step: Callable[[int, float], None]) -> None:
        own = settings.encoder.model_copy(update={"steps": count})
        with start_threads() as pool:
            learn_encoder(encoder, own, images, checkpoints, Terms(0, precision, pool, on_step=on_step))

    return time_steps(train)


def _time_encoding(encoder: Encoder, shape: Shape) -> float:
    """Seconds of encoding an image."""
    images = torch.zeros(TIMED_IMAGES, *shape)
    return time_call(lambda: encoder.encode(images)) / TIMED_IMAGES
