"""Estimate the cost of kind `latent` on this machine by timing a few real steps of both trainings, and draws."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ops.generators.denoising.cost import ENOUGH, FIRST_STEPS, TIMED_STEPS, estimate_denoiser
from ops.generators.kinds.flow import Flow
from ops.generators.latent.autoencoding import learn_autoencoder
from ops.generators.latent.guessing import add_autoencoder
from ops.generators.latent.network import Autoencoder, build_autoencoder, describe_autoencoder
from ops.generators.latent.sizes import Shape, find_latent_shape
from ops.generators.protocol import Cost
from ops.machine.parallel import start_threads
from ops.machine.precision import resolve_precision
from ops.recipe.generator import DenoiserSettings, Moves, SamplerSettings
from ops.recipe.latent import LatentSettings
from ops.training.checkpoint import Checkpoints

TIMED_IMAGES = 8  # of a timed pass of a half of the autoencoder


def estimate_latent(
    maths: Flow,
    settings: LatentSettings,
    sampler: SamplerSettings,
    shape: Shape,
    classes: int,
    estimate_refining: Callable[[DenoiserSettings, float, float], float],
) -> Cost:
    """Time a few training steps on noise. Drawing is timed on one thread in fp32; ONNX Runtime is about as fast."""
    latent = find_latent_shape(settings.autoencoder, shape)
    channels, height, width = shape
    config = {
        "channels": channels, "height": height, "width": width, **describe_autoencoder(settings.autoencoder, shape)
    }  # fmt: skip
    autoencoder = build_autoencoder(config)
    step = _time_steps(autoencoder, settings, shape, latent, classes)
    encode, decode = _time_halves(autoencoder, shape, latent)
    # The flow's own steps see latents; augmented images are encoded besides.
    plain = settings.model_copy(update={"augment": 0.0, "augmentation": Moves()})
    flow = estimate_denoiser(maths, plain, sampler, latent, classes, estimate_refining)
    anew = settings.batch_size * encode if settings.augment else 0.0
    return add_autoencoder(flow, settings, step, anew, decode, encode if sampler.strength else 0.0)


def _time_steps(autoencoder: Autoencoder, settings: LatentSettings, shape: Shape, latent: Shape, classes: int) -> float:
    """Seconds of a training step."""
    images = torch.randint(0, 256, (4 * classes, *shape), dtype=torch.uint8)
    labels = torch.arange(4 * classes) % classes
    precision = resolve_precision(settings.precision)

    def measure(before: int, timed: int) -> float:
        own, stamps = settings.autoencoder.model_copy(update={"steps": before + timed}), list[float]()
        with tempfile.TemporaryDirectory() as folder, start_threads() as pool:
            learn_autoencoder(
                autoencoder,
                settings.model_copy(update={"autoencoder": own}),
                images,
                labels,
                latent,
                Checkpoints(Path(folder), 1),
                seed=0,
                precision=precision,
                pool=pool,
                on_step=lambda step, loss: stamps.append(time.perf_counter()),
            )
        return float(np.median(np.diff(stamps[before - 1 :])))

    seconds = measure(*FIRST_STEPS)
    return measure(*TIMED_STEPS) if seconds * TIMED_STEPS[1] < ENOUGH else seconds


def _time_halves(autoencoder: Autoencoder, shape: Shape, latent: Shape) -> tuple[float, float]:
    """Seconds of encoding and of decoding an image."""

    def measure(half: Callable[[Tensor], Tensor], given: Shape) -> float:
        seconds, values = list[float](), torch.zeros(TIMED_IMAGES, *given)
        for _ in range(3):
            started = time.perf_counter()
            with torch.inference_mode():
                half(values)
            seconds.append(time.perf_counter() - started)
        return min(seconds) / TIMED_IMAGES

    return measure(autoencoder.encode, shape), measure(autoencoder.decode, latent)
