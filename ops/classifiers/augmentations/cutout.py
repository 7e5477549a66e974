"""Cutout (DeVries & Taylor 2017): a square is hidden in each image, after mirroring and a shift, as its authors do."""

from __future__ import annotations

import torch
from torch import Tensor

from ops.classifiers.augmentations.flip_crop import FlipAndCrop, flip_and_shift
from ops.classifiers.ingredients import Augmentation
from ops.recipe.arms import FlipCrop
from ops.recipe.ingredients.hiding import Cutout


class HiddenSquare(Augmentation):
    """A square of `size` of the shorter side is hidden in every image.

    Its centre is any pixel, all equally likely, so the border may cut it: of a square of 14 pixels in an image of 28 a
    quarter to all is seen. A square of an even side reaches one pixel less to the right and down, as in the published
    code.
    """

    def __init__(self, settings: Cutout, side: tuple[int, int]) -> None:
        self.settings, self.shift = settings, FlipAndCrop(FlipCrop(), side).shift
        self.side = max(1, round(settings.size * min(side)))

    def __call__(self, images: Tensor) -> Tensor:
        count, _, height, width = images.shape
        moved = flip_and_shift(images, self.shift, self.settings.flip)
        rows, columns = (self._cover(count, length).to(images.device) for length in (height, width))
        return moved.masked_fill(rows[:, None, :, None] & columns[:, None, None, :], 2 * self.settings.fill - 1)

    @classmethod
    def mirrors(cls, settings: Cutout) -> bool:
        return settings.flip > 0

    def _cover(self, count: int, length: int) -> Tensor:
        """Which of `length` places each of `count` squares covers, bool [count, length]."""
        first = torch.randint(length, (count, 1)) - self.side // 2
        places = torch.arange(length)
        return (first <= places) & (places < first + self.side)
