"""Guess the cost of kind `instance` from how many products its networks compute; nothing is timed or built.

A multiplication and an addition count as two products. It loads nothing that computes.
"""

from __future__ import annotations

from itertools import pairwise

from ops.generators.denoising.guessing import KERNEL, PASSES, REST, STEP_SECONDS, guess_denoiser
from ops.generators.denoising.guessing import count_products as count_flow
from ops.generators.instance.flow import InstanceFlow
from ops.generators.instance.sizes import Shape, list_places, list_widths
from ops.generators.protocol import Cost
from ops.recipe.instance import EncoderSettings, InstanceSettings
from ops.recipe.sampler import SamplerSettings

VIEWS = 2  # of each image of a step


def guess_instance(
    maths: InstanceFlow, settings: InstanceSettings, sampler: SamplerSettings, shape: Shape, rate: float, workers: int
) -> Cost:
    """The cost for images of `shape`, at `rate` products a second on each of `workers` cores."""
    flow = guess_denoiser(maths, settings, sampler, shape, rate, workers, lambda *_: 0.0)
    products = count_products(settings.encoder, shape)
    step = STEP_SECONDS + PASSES * REST * VIEWS * settings.encoder.batch_size * products / (rate * workers)
    return add_encoder(flow, settings, step, products / rate)


def add_encoder(flow: Cost, settings: InstanceSettings, step: float, encode: float) -> Cost:
    """The flow's cost and the encoder's: seconds of its step, and of encoding an image."""
    return Cost(flow.fit_seconds + settings.encoder.steps * step, flow.step_seconds, flow.image_seconds + encode)


def weigh_flow(maths: InstanceFlow, settings: InstanceSettings, sampler: SamplerSettings, shape: Shape) -> float:
    """The solver's share of the products of a variant: it is what decodes."""
    assert sampler.solver is not None and sampler.steps is not None
    flow = count_flow(settings, shape) * maths.count_evaluations(sampler.solver, sampler.steps)
    return flow / (flow + count_products(settings.encoder, shape))


def count_products(settings: EncoderSettings, shape: Shape) -> float:
    """Of encoding an image of `shape`."""
    levels = list(zip(list_places(settings, shape), list_widths(settings, shape), strict=True))
    total = KERNEL * levels[0][0] * 4 * shape[0] * levels[0][1]
    total += sum(2 * KERNEL * places * width**2 for places, width in levels)
    total += sum(KERNEL * places * before * after for (_, before), (places, after) in pairwise(levels))
    places, width = levels[-1]
    return float(total + 2 * places * width**2 + 2 * width * settings.features)
