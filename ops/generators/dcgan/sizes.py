"""How large DCGAN's feature maps are, by the size of the images. It loads nothing that computes."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ops.errors import UserError
from ops.generators.adversarial.design import Products
from ops.recipe.dcgan import DcganSettings

LEAST_SIDE = 4  # pixels
PLACES = 4  # a side of the smallest maps, as published
MOST = 5  # halvings
GROWTH = 8  # the most channels of a map, in widths
KERNEL = 4  # of all convolutions that halve or double a side
WIDE_SIDE, WIDE, NARROW = 16, 64, 32  # widths by the shorter side


@dataclass(frozen=True)
class Sizes:
    """Feature maps of both networks.

    first : places (height, width) of the maker's first map; each later map has twice the sides.
    made : channels of the maker's maps, first to last.
    judged : channels of the critic's maps, first to last; each has half the sides of the one before.
    last : places (height, width) of the critic's last map.
    """

    first: tuple[int, int]
    made: tuple[int, ...]
    judged: tuple[int, ...]
    last: tuple[int, int]


def find_width(settings: DcganSettings, shape: tuple[int, int, int]) -> int:
    """The width of these settings for images of `shape` (channels, height, width)."""
    if settings.width is not None:
        return settings.width
    return WIDE if min(shape[1:]) <= WIDE_SIDE else NARROW


def plan_sizes(height: int, width: int, base: int) -> Sizes:
    """For images of any size from LEAST_SIDE on: the maker's are cropped from the next multiple."""
    side = min(height, width)
    rises = max(1, min(MOST, math.floor(math.log2(side / PLACES))))
    falls = max(1, next(fall for fall in range(MOST + 2) if side // 2**fall <= PLACES or fall > MOST))
    channels = [base * min(GROWTH, 2**level) for level in range(max(rises, falls))]
    return Sizes(
        (-(-height // 2**rises), -(-width // 2**rises)),
        tuple(reversed(channels[:rises])),
        tuple(channels[:falls]),
        (height // 2**falls, width // 2**falls),
    )


def check_shape(settings: DcganSettings, shape: tuple[int, int, int]) -> None:
    """UserError for images (channels, height, width) that are too small for these settings."""
    side, numbers, latent = min(shape[1:]), math.prod(shape), settings.latent
    if side < LEAST_SIDE:
        raise UserError(f"kind: dcgan needs images of at least {LEAST_SIDE} pixels a side; these have {side}")
    if latent is not None and numbers < latent:
        raise UserError(f"an image of {numbers} numbers is too small for a latent of {latent}")


def count_products(settings: DcganSettings, shape: tuple[int, int, int]) -> Products:
    """Products of maker and critic for an image of `shape` (channels, height, width)."""
    channels, height, width = shape
    sizes = plan_sizes(height, width, find_width(settings, shape))
    places = math.prod(sizes.first)
    make = 4.0 * settings.find_latent(shape) * sizes.made[0] * places
    for level, (before, after) in enumerate(zip(sizes.made, (*sizes.made[1:], channels), strict=True)):
        make += 2.0 * places * 4**level * KERNEL**2 * before * after  # each place of the smaller map meets each weight
    judge = 2.0 * math.prod(sizes.last) * sizes.judged[-1] ** 2
    for level, (before, after) in enumerate(zip((channels, *sizes.judged), sizes.judged, strict=False)):
        places = (height // 2 ** (level + 1)) * (width // 2 ** (level + 1))
        judge += 2.0 * places * KERNEL**2 * before * after
    return Products(make, judge)
