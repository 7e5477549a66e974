"""Guess the cost of the search for moves from how many products it computes; nothing is timed or loaded."""

from __future__ import annotations

from ops.generators.protocol import Cost
from ops.recipe.geometry import GeometrySettings

SHARES = 4  # ranges tried of each move but mirroring, at most
# Products for each pixel, a multiplication and an addition counted as two: of the three convolutions of the features
# (5 x 5 to 24 channels at half the resolution, 3 x 3 to 40 at a quarter, 3 x 3 to 16 at an eighth), and of the moves.
FIRST, REST, MOVING = 2 * 25 * 24 / 4, 2 * 9 * 24 * 40 / 16 + 2 * 9 * 40 * 16 / 64, 300


def count_moved(settings: GeometrySettings) -> int:
    """How many images are moved and described, at most: half of the images in each trial, and all of them before."""
    tried = sum(bool(width) for width in (settings.rotation, settings.scale, settings.shift))
    return settings.images // 2 * (SHARES * tried + settings.mirror + 4)


def guess_geometry(settings: GeometrySettings, shape: tuple[int, int, int], rate: float) -> Cost:
    """The cost at `rate` products a second on one core, for images of `shape` (channels, height, width)."""
    channels, height, width = shape
    moving = MOVING * channels * height * width
    describing = (FIRST * channels + REST) * height * width
    return Cost(count_moved(settings) * (moving + describing) / rate, 0.0, moving / rate)
