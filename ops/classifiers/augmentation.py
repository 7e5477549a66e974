"""Label-preserving augmentations, batched on the device by kornia.

An augmentation maps float images [n, C, H, W] in -1..1 to the same shape and range. kornia draws from
torch's (and Python's) global generators, so the training process seeds those; see `training.train`.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

Augmentation = Callable[[Tensor], Tensor]

PADDING_SHARE = 14  # pad 1/14 of the side before cropping: 2 pixels at 28, near CIFAR's customary 4 at 32


def build_augmentation(name: str, side: tuple[int, int]) -> Augmentation:
    """The augmentation called `name` for images of `side` = (height, width); KeyError if unknown."""
    return AUGMENTATIONS[name](side)


def _none(side: tuple[int, int]) -> Augmentation:
    return lambda images: images


def _flip_crop(side: tuple[int, int]) -> Augmentation:
    import kornia.augmentation as K

    padding = max(1, round(min(side) / PADDING_SHARE))
    return nn.Sequential(
        K.RandomHorizontalFlip(p=0.5),
        K.RandomCrop(side, padding=padding, padding_mode="replicate", cropping_mode="slice"),
    )


def _randaugment(side: tuple[int, int]) -> Augmentation:
    """RandAugment (Cubuk et al. 2020) with n = 2, m = 10 after flip and crop, as its authors train."""
    from kornia.augmentation.auto import RandAugment

    flip_crop, policy = _flip_crop(side), RandAugment(n=2, m=10)

    def augment(images: Tensor) -> Tensor:
        channels = images.shape[1]
        unit = (flip_crop(images) + 1) / 2  # kornia's colour operations expect 0..1 and three channels
        changed = policy(unit.expand(-1, 3, -1, -1)).clamp(0, 1) * 2 - 1
        return changed if channels == 3 else changed.mean(dim=1, keepdim=True)

    return augment


AUGMENTATIONS: dict[str, Callable[[tuple[int, int]], Augmentation]] = {
    "none": _none,
    "flip_crop": _flip_crop,
    "randaugment": _randaugment,
}
