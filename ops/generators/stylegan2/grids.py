"""The resolutions of StyleGAN2's networks, and their channels, by the size of the images. It loads nothing that
computes."""

from __future__ import annotations

from dataclasses import dataclass

from ops.errors import UserError
from ops.recipe.stylegan2 import StyleGan2Settings

LEAST_SIDE = 4  # pixels of an image, and places of the coarsest grid, along the shorter side
DOUBLED = 8  # channels grow up to so many times those of the finest grid


@dataclass(frozen=True)
class Grids:
    """From the coarsest to the finest: the sides (height, width) and the channels of each.

    The finest covers the image. Where its sides are longer, images are padded below and right, or cropped there.
    """

    sides: tuple[tuple[int, int], ...]
    widths: tuple[int, ...]


def plan_grids(height: int, width: int, channels: int) -> Grids:
    """The coarsest has 4 to 7 places along the shorter side; each next one doubles the sides and halves the channels.

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
    if (numbers := channels * height * width) < settings.latent:
        raise UserError(f"an image of {numbers} numbers is too small for generator.latent: {settings.latent}")
