"""RandAugment (Cubuk et al. 2020) with n = 2 after mirroring and a shift, as its authors train."""

from __future__ import annotations

from torch import Tensor

from ops.classifiers.augmentations.flip_crop import FlipAndCrop, flip_and_shift
from ops.classifiers.ingredients import Augmentation
from ops.recipe.arms import FlipCrop, RandAugment


class RandomOperations(Augmentation):
    """Two of kornia's operations on geometry or colour, with magnitude m = `strength` of 30."""

    def __init__(self, settings: RandAugment, side: tuple[int, int]) -> None:
        from kornia.augmentation import auto  # kornia takes a second to import

        self.flip, self.shift = settings.flip, FlipAndCrop(FlipCrop(strength=settings.shift), side).shift
        self.policy = auto.RandAugment(n=2, m=settings.strength)

    def __call__(self, images: Tensor) -> Tensor:
        channels = images.shape[1]
        moved = flip_and_shift(images, self.shift, self.flip)
        unit = (moved + 1) / 2  # kornia's colour operations expect 0..1 and three channels
        changed = self.policy(unit.expand(-1, 3, -1, -1)).clamp(0, 1) * 2 - 1
        return changed if channels == 3 else changed.mean(dim=1, keepdim=True)

    @classmethod
    def mirrors(cls, settings: RandAugment) -> bool:
        return settings.flip > 0
