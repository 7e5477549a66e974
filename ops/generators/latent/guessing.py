"""Guess the cost of kind `latent` from how many products its networks compute; nothing is timed or built.

A multiplication and an addition count as two products. It loads nothing that computes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

from ops.generators.denoising.guessing import KERNEL, PASSES, REST, STEP_SECONDS, guess_denoiser
from ops.generators.denoising.guessing import count_products as count_flow
from ops.generators.kinds.flow import Flow
from ops.generators.latent.sizes import Shape, find_halvings, find_latent_shape, list_widths
from ops.generators.protocol import Cost
from ops.recipe.denoisers import DenoiserSettings
from ops.recipe.latent import AutoencoderSettings, LatentSettings
from ops.recipe.sampler import SamplerSettings


@dataclass(frozen=True)
class Products:
    """Products of each half of the autoencoder for one image."""

    encode: float
    decode: float


def guess_latent(
    maths: Flow,
    settings: LatentSettings,
    sampler: SamplerSettings,
    shape: Shape,
    rate: float,
    workers: int,
    estimate_refining: Callable[[DenoiserSettings, float, float], float],
) -> Cost:
    """The cost for images of `shape`, at `rate` products a second on each of `workers` cores."""
    own, latent = settings.autoencoder, find_latent_shape(settings.autoencoder, shape)
    products = count_products(own, shape)
    flow = guess_denoiser(maths, settings, sampler, latent, rate, workers, estimate_refining)
    both = products.encode + products.decode
    step = STEP_SECONDS + PASSES * REST * own.batch_size * both / (rate * workers)
    # Augmented images are encoded anew at each step of the flow.
    anew = settings.batch_size * products.encode / (rate * workers) if settings.augment else 0.0
    return add_autoencoder(
        flow, settings, step, anew, products.decode / rate, products.encode / rate if sampler.strength else 0.0
    )


def add_autoencoder(
    flow: Cost, settings: LatentSettings, step: float, anew: float, decode: float, encode: float
) -> Cost:
    """The flow's cost among latents, and the autoencoder's: seconds of its step, of encoding a batch anew at each of
    the flow's steps, and of decoding and encoding an image."""
    return Cost(
        flow.fit_seconds + settings.steps * anew + settings.autoencoder.steps * step,
        flow.step_seconds + anew,
        flow.image_seconds + decode + encode,
    )


def weigh_decoder(maths: Flow, settings: LatentSettings, sampler: SamplerSettings, shape: Shape) -> float:
    """The decoder's share of the products of a variant."""
    assert sampler.solver is not None and sampler.steps is not None
    own, latent = count_products(settings.autoencoder, shape), find_latent_shape(settings.autoencoder, shape)
    flow = count_flow(settings, latent) * maths.count_evaluations(sampler.solver, sampler.steps)
    return own.decode / (own.encode + flow + own.decode)


def count_products(settings: AutoencoderSettings, shape: Shape) -> Products:
    """For an image of `shape`."""
    channels, latent = shape[0], settings.channels
    halvings, (_, height, width) = find_halvings(settings, shape), find_latent_shape(settings, shape)
    widths = list_widths(settings.width, halvings)
    places = [height * width * 4.0 ** (halvings - 1 - level) for level in range(halvings)]
    levels = list(zip(places, widths, strict=True))
    blocks = sum(2 * settings.blocks * KERNEL * size * own**2 for size, own in levels)
    encode = decode = blocks
    for (size, own), (smaller, wider) in pairwise(levels):
        encode += KERNEL * smaller * own * wider
        decode += KERNEL * size * own * wider
    encode += KERNEL * (places[0] * 4 * channels * widths[0] + places[-1] * widths[-1] * 2 * latent)
    decode += KERNEL * places[-1] * latent * widths[-1]
    last = widths[0] // 2
    decode += KERNEL * places[0] * (widths[0] * 4 * last + 4 * last * channels)
    return Products(encode, decode)
