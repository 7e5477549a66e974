"""Estimate the cost of kind `latent` on this machine by timing a few real steps of both trainings, and draws."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ops.generators.denoising.cost import estimate_denoiser
from ops.generators.kinds.flow import Flow
from ops.generators.latent.autoencoding import learn_autoencoder
from ops.generators.latent.guessing import add_autoencoder
from ops.generators.latent.network import Autoencoder, build_autoencoder, describe_autoencoder
from ops.generators.latent.sizes import Shape, find_latent_shape
from ops.generators.protocol import Cost
from ops.generators.timing import make_stand_in, time_call, time_steps
from ops.machine.parallel import start_threads
from ops.machine.precision import resolve_precision
from ops.recipe.denoisers import DenoiserSettings, Moves
from ops.recipe.latent import LatentSettings
from ops.recipe.sampler import SamplerSettings
from ops.training.checkpoint import Checkpoints
from ops.training.terms import Terms

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
    images, labels = make_stand_in(shape, classes)
    precision = resolve_precision(settings.precision)

    def train(count: int, checkpoints: Checkpoints, on_step: Callable[[int, float], None]) -> None:
        own = settings.autoencoder.model_copy(update={"steps": count})
        short = settings.model_copy(update={"autoencoder": own})
        with start_threads() as pool:
            terms = Terms(0, precision, pool, on_step=on_step)
            learn_autoencoder(autoencoder, short, images, labels, latent, checkpoints, terms)

    return time_steps(train)


def _time_halves(autoencoder: Autoencoder, shape: Shape, latent: Shape) -> tuple[float, float]:
    """Seconds of encoding and of decoding an image."""

    def measure(half: Callable[[Tensor], Tensor], given: Shape) -> float:
        values = torch.zeros(TIMED_IMAGES, *given)
        return time_call(lambda: half(values)) / TIMED_IMAGES

    return measure(autoencoder.encode, shape), measure(autoencoder.decode, latent)
