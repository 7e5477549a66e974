"""How often each part of MUNIT halves the resolution, by the size of the images. It loads nothing that computes."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ops.errors import UserError
from ops.recipe.munit import MunitSettings

LEAST_SIDE = 4  # the first convolution reflects three pixels
LEAST_PLACES = 2  # a side of the content; instance norm leaves nothing of a single place
MOST = 4  # halvings
PLACES = 14  # a side of the content, where nothing else is asked for


@dataclass(frozen=True)
class Depths:
    """Halvings by the content encoder, and by the style encoder and the critic, which end at one place a side."""

    content: int
    style: int


def plan_depths(height: int, width: int, halvings: int | None = None) -> Depths:
    """By the shorter side: the content keeps about 14 places a side. `halvings` sets the content's own."""
    side = min(height, width)
    by_size = max(1, min(MOST, math.floor(math.log2(side / PLACES))))
    return Depths(by_size if halvings is None else halvings, min(MOST, math.floor(math.log2(side))))


def check_shape(settings: MunitSettings, shape: tuple[int, int, int]) -> None:
    """UserError for images (channels, height, width) that are too small for these settings."""
    channels, height, width = shape
    side, numbers = min(height, width), channels * height * width
    if side < LEAST_SIDE:
        raise UserError(f"kind: munit needs images of at least {LEAST_SIDE} pixels a side; these have {side}")
    if numbers < settings.style:
        raise UserError(f"an image of {numbers} numbers is too small for a style of {settings.style}")
    halvings = plan_depths(height, width, settings.halvings).content
    possible = [h for h in range(1, MOST + 1) if -(-side // 2**h) >= LEAST_PLACES]  # sides are padded to multiples
    if halvings not in possible:
        raise UserError(
            f"generator.halvings {halvings} leaves no content of {side} pixels a side; at most {max(possible)} are"
            " possible"
        )
