"""How deep the encoder is by the size of the images, and which images are refused. It loads nothing that computes."""

from __future__ import annotations

import math

from ops.errors import UserError
from ops.recipe.instance import EncoderSettings

LEAST_SIDE = 8
PLACES = 4  # of a side of the last maps, at most
MOST_LEVELS = 4
MOST_GROWTH = 4  # times the width, at the lowest resolutions
NUMBERS = 2  # of the noise for each feature that it hides, at least

Shape = tuple[int, int, int]
"""(channels, height, width)."""


def list_widths(settings: EncoderSettings, shape: Shape) -> list[int]:
    """Channels at each resolution: half of the images', a quarter, …, so that the shorter side ends at 4 places."""
    levels = max(1, min(MOST_LEVELS, math.ceil(math.log2(min(shape[1:]) / PLACES))))
    return [settings.width * min(2**level, MOST_GROWTH) for level in range(levels)]


def list_places(settings: EncoderSettings, shape: Shape) -> list[int]:
    """Places of the maps at each resolution."""
    sides = [2 ** (level + 1) for level in range(len(list_widths(settings, shape)))]
    return [math.ceil(shape[1] / side) * math.ceil(shape[2] / side) for side in sides]


def check_shape(settings: EncoderSettings, shape: Shape) -> None:
    """UserError for images of `shape` that these settings can't describe."""
    side, widths, features = min(shape[1:]), list_widths(settings, shape), settings.features
    if side < LEAST_SIDE:
        raise UserError(f"kind: instance needs images of at least {LEAST_SIDE} pixels a side; these have {side}")
    if features > widths[-1]:
        raise UserError(
            f"prior.encoder.features {features} is above the {widths[-1]} channels in which the encoder ends for images"
            f" of {side} pixels a side; lower it, or raise prior.encoder.width"
        )
    if NUMBERS * features > math.prod(shape):
        raise UserError(
            f"prior.encoder.features {features} is more than half of the {math.prod(shape)} numbers of an image; lower"
            " it"
        )


def check_pool(settings: EncoderSettings, images: int) -> None:
    """UserError for a pool of so few images that its features can't be told apart."""
    if images <= settings.features:
        raise UserError(
            f"a pool of {images:,} images is too small for kind: instance with prior.encoder.features"
            f" {settings.features}: it needs more images than features"
        )
