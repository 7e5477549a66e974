"""The resolutions of StyleGAN2's networks, and their channels, by the size of the images. It loads nothing that
computes."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ops.errors import UserError
from ops.generators.adversarial.design import Products
from ops.recipe.stylegan2 import EVERY, StyleGan2Settings

LEAST_SIDE = 4  # pixels of an image, and places of the coarsest grid, along the shorter side
TAPS = 16  # of the filter behind a doubling and before a halving
# Of the critic, for its steepness at an image: scores, their gradient, and twice as much backwards through each.
PENALTY_PASSES = 6
DOUBLED = 8  # channels grow up to so many times those of the finest grid


@dataclass(frozen=True)
class Grids:
    """From the coarsest to the finest: the sides (height, width) and the channels of each.

    The finest covers the image. Where its sides are longer, images are padded below and right, or cropped there.
    """

    sides: tuple[tuple[int, int], ...]
    widths: tuple[int, ...]


def plan_grids(height: int, width: int, channels: int) -> Grids:
    """The coarsest has 4 to 8 places along the shorter side; each next one doubles the sides and halves the channels.

    channels : of the finest.
    """
    doublings = max(0, (min(height, width) // LEAST_SIDE).bit_length() - 1)
    first = -(-height // 2**doublings), -(-width // 2**doublings)
    levels = range(doublings + 1)
    return Grids(
        tuple((first[0] * 2**level, first[1] * 2**level) for level in levels),
        tuple(channels * min(DOUBLED, 2 ** (doublings - level)) for level in levels),
    )


def check_shape(settings: StyleGan2Settings, shape: tuple[int, int, int]) -> None:
    """UserError for images (channels, height, width) that are too small for these settings."""
    channels, height, width = shape
    if min(height, width) < LEAST_SIDE:
        raise UserError(
            f"kind: stylegan2 needs images of at least {LEAST_SIDE} pixels a side; these have {min(height, width)}"
        )
    if settings.latent is not None and (numbers := channels * height * width) < settings.latent:
        raise UserError(f"an image of {numbers} numbers is too small for a latent of {settings.latent}")


def count_products(settings: StyleGan2Settings, shape: tuple[int, int, int]) -> Products:
    """Products of maker and critic for an image of `shape` (channels, height, width)."""
    channels, height, width = shape
    grids, style = plan_grids(height, width, settings.width), settings.find_latent(shape)
    places = [math.prod(sides) for sides in grids.sides]
    inner = grids.widths[0]
    make = 2.0 * places[0] * 9 * inner**2 + 2.0 * style**2 * (settings.layers + 1)
    judge = 2.0 * places[-1] * channels * grids.widths[-1] + 2.0 * places[0] * (9 * (inner + 1) * inner + inner**2)
    for level in range(1, len(places)):
        coarse, fine = grids.widths[level - 1 : level + 1]
        smoothed = TAPS * places[level] * fine
        make += 2.0 * (9 * (places[level - 1] * coarse * fine + places[level] * fine**2) + smoothed)
        judge += 2.0 * (9 * (places[level] * fine**2 + places[level - 1] * coarse * fine) + 1.25 * smoothed)
        judge += 2.0 * places[level - 1] * coarse * fine
    make += sum(2.0 * place * wide * channels for place, wide in zip(places, grids.widths, strict=True))
    penalised = settings.find_penalty(shape) > 0
    return Products(make, judge, rare=PENALTY_PASSES * judge / EVERY if penalised else 0.0)
