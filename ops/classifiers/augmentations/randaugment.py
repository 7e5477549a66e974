"""RandAugment (Cubuk et al. 2020) after mirroring and a shift, as its authors train."""

from __future__ import annotations

import torch
from torch import Tensor

from ops.classifiers.augmentations.flip_crop import FlipAndCrop, flip_and_shift
from ops.classifiers.augmentations.operations import OPERATIONS, operate
from ops.classifiers.ingredients import Augmentation
from ops.recipe.arms import FlipCrop, RandAugment

MOST = 30  # RandAugment's largest magnitude


class RandomOperations(Augmentation):
    """n = `operations`, drawn for each image, with magnitude m = `strength` of 30, one after the other."""

    def __init__(self, settings: RandAugment, side: tuple[int, int]) -> None:
        self.flip, self.shift = settings.flip, FlipAndCrop(FlipCrop(strength=settings.shift), side).shift
        self.operations, self.level = settings.operations, settings.strength / MOST

    def __call__(self, images: Tensor) -> Tensor:
        unit = (flip_and_shift(images, self.shift, self.flip) + 1) / 2
        for _ in range(self.operations):
            chosen = torch.randint(len(OPERATIONS), (len(images),))
            signs = 2.0 * torch.randint(2, (len(images),)) - 1
            unit = operate(unit, chosen, self.level * signs)
        return unit * 2 - 1

    @classmethod
    def mirrors(cls, settings: RandAugment) -> bool:
        return settings.flip > 0
