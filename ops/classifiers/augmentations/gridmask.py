"""GridMask (Chen, Liu, Zhao & Jia 2020): a grid of squares is hidden in an image, after mirroring and a shift.

The grid has a period of d pixels, drawn for each image between a least and a most. Of a period the share r stays
visible along both sides, and what is left of it is a hidden square, so about (1 - r)² of the image is hidden. Offset
and angle of the grid are drawn too. An image is changed with a probability that rises during the training.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ops.classifiers.augmentations.flip_crop import FlipAndCrop, flip_and_shift
from ops.classifiers.ingredients import Augmentation
from ops.recipe.arms import FlipCrop
from ops.recipe.ingredients.hiding import GridMask


class HiddenGrid(Augmentation):
    """Squares of a grid are hidden in a share of the images that grows up to `probability`.

    A period has two pixels at least, of which one at least is hidden and one visible. Without `advance` the share is
    the full probability.
    """

    def __init__(self, settings: GridMask, side: tuple[int, int]) -> None:
        self.settings, self.probability = settings, settings.probability
        self.shift = FlipAndCrop(FlipCrop(), side).shift
        self.periods = max(2, round(settings.least * min(side))), max(2, round(settings.most * min(side)))

    def advance(self, done: float) -> None:
        """The probability rises evenly over the first `ramp` of the steps."""
        ramp, most = self.settings.ramp, self.settings.probability
        self.probability = most * min(1.0, done / ramp) if ramp else most

    def __call__(self, images: Tensor) -> Tensor:
        count, _, height, width = images.shape
        moved = flip_and_shift(images, self.shift, self.settings.flip)
        least, most = self.periods
        period = torch.randint(least, most + 1, (count,))
        angle = torch.rand(count) * math.radians(self.settings.rotation)
        offset = (torch.rand(2, count) * period).long()
        hidden = place_grid((height, width), period, self.settings.ratio, offset, angle)
        hidden &= (torch.rand(count) < self.probability)[:, None, None]
        return moved.masked_fill(hidden[:, None].to(images.device), 2 * self.settings.fill - 1)

    @classmethod
    def mirrors(cls, settings: GridMask) -> bool:
        return settings.flip > 0


def place_grid(side: tuple[int, int], period: Tensor, ratio: float, offset: Tensor, angle: Tensor) -> Tensor:
    """Which pixels a grid hides in images of `side` = (height, width), bool [n, height, width].

    period: int [n], in pixels, 2 or more. ratio: visible share of a period along each side. offset: int [2, n], down
    and across. angle: float [n], in radians, by which the grid is turned around the image's centre; a pixel is hidden
    if the pixel of the unturned grid is that lies nearest.
    """
    height, width = side
    down = (torch.arange(height) - (height - 1) / 2)[:, None]
    across = (torch.arange(width) - (width - 1) / 2)[None, :]
    cos, sin = torch.cos(angle)[:, None, None], torch.sin(angle)[:, None, None]
    turned = cos * down - sin * across + (height - 1) / 2, sin * down + cos * across + (width - 1) / 2
    visible = torch.minimum((period * ratio + 0.5).long().clamp(min=1), period - 1)[:, None, None]
    first, second = (
        (place.round().long() + moved[:, None, None]) % period[:, None, None] >= visible
        for place, moved in zip(turned, offset, strict=True)
    )
    return first & second
