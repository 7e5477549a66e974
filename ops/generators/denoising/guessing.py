"""Guess the cost of a denoising generator from how many products its network computes; nothing is timed or built.

Building the network would load diffusers, which takes seconds. The number of products is near to FlopCounterMode's: a
multiplication and an addition count as two.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from ops.generators.kinds.denoiser import Denoiser
from ops.generators.protocol import Cost
from ops.recipe.denoisers import DenoiserSettings
from ops.recipe.sampler import SamplerSettings

# A step computes the products forwards and twice backwards; norms, optimizer and the pairing of noise come on top, and
# bf16, where there is, is faster than the rate says.
PASSES, REST, STEP_SECONDS = 3, 0.8, 0.01
TRANSFER = 1.75  # times as much where images are also denoised under other labels
KERNEL = 2 * 9  # of a 3 x 3 convolution, for each pair of channels and each place


def guess_denoiser(
    maths: Denoiser,
    settings: DenoiserSettings,
    sampler: SamplerSettings,
    shape: tuple[int, int, int],
    rate: float,
    workers: int,
    estimate_refining: Callable[[DenoiserSettings, float, float], float],
) -> Cost:
    """The cost from the products of the network, at `rate` products a second on each of `workers` cores."""
    seconds = count_products(settings, shape) / rate
    passes = PASSES * (TRANSFER if settings.class_transfer else 1)
    per_step = STEP_SECONDS + passes * REST * settings.batch_size * seconds / workers
    assert sampler.solver is not None and sampler.steps is not None
    guided = 1 if sampler.guidance == 1 else 2  # with the label and without it
    per_image = guided * seconds * maths.count_evaluations(sampler.solver, sampler.steps)
    return Cost(
        per_step * settings.steps + estimate_refining(settings, per_step, seconds / workers), per_step, per_image
    )


def count_products(settings: DenoiserSettings, shape: tuple[int, int, int]) -> float:
    """Products of one evaluation for an image of `shape` (channels, height, width)."""
    channels, height, width = shape
    side = settings.unshuffle
    inner, places = channels * side**2, math.ceil(height / side) * math.ceil(width / side)
    before, skips = settings.widths[0], [settings.widths[0]]
    total = float(KERNEL * places * inner * before)
    blocks, last = settings.layers_per_block, len(settings.widths) - 1
    levels = [places / 4**level for level in range(last + 1)]
    for level, (size, channels) in enumerate(zip(levels, settings.widths, strict=True)):
        for _ in range(blocks):
            total += _block(size, before, channels)
            before = channels
            skips.append(channels)
        if level < last:
            total += KERNEL * levels[level + 1] * channels**2  # halves the resolution
            skips.append(channels)
    total += 2 * _block(levels[last], before, before)
    for level, size in reversed([*enumerate(levels)]):
        channels = settings.widths[level]
        for _ in range(blocks + 1):
            total += _block(size, before + skips.pop(), channels)
            before = channels
        if level:
            total += KERNEL * levels[level - 1] * channels**2  # doubles the resolution
    return total + KERNEL * places * before * inner


def _block(places: float, before: int, after: int) -> float:
    """A residual block: two convolutions, and a third of one pixel where the number of channels changes."""
    shortcut = 2 * before * after if before != after else 0
    return places * (KERNEL * (before + after) * after + shortcut)
