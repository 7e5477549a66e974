"""Label-preserving augmentations, batched on the device.

An augmentation maps float images [n, C, H, W] in -1..1 to the same shape and range. All draw from
torch's (and kornia's RandAugment from Python's) global generators, so the training process seeds those;
see `training.train`.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Augmentation = Callable[[Tensor], Tensor]

PADDING_SHARE = 14  # pad 1/14 of the side before cropping: 2 pixels at 28, near CIFAR's customary 4 at 32


def build_augmentation(name: str, side: tuple[int, int]) -> Augmentation:
    """The augmentation called `name` for images of `side` = (height, width); KeyError if unknown."""
    return AUGMENTATIONS[name](side)


def mirrors(name: str) -> bool:
    """Whether the augmentation called `name` shows mirrored images: to it an image and its mirror image are alike."""
    return name in ("flip_crop", "randaugment")


def _none(side: tuple[int, int]) -> Augmentation:
    return lambda images: images


def _flip_crop(side: tuple[int, int]) -> Augmentation:
    shift = max(1, round(min(side) / PADDING_SHARE))
    return lambda images: flip_and_shift(images, shift)


def flip_and_shift(images: Tensor, shift: int) -> Tensor:
    """Each image mirrored with probability 1/2 and moved by up to `shift` pixels each way, edges repeated.

    The same as padding by repetition and cropping, done as one gather for the whole batch: kornia,
    which crops image by image, takes a fifth of a training step for it.
    """
    count, _, height, width = images.shape
    rows = _move(torch.arange(height), count, shift).to(images.device)
    columns = _move(torch.arange(width), count, shift)
    columns = torch.where(torch.rand(count, 1) < 0.5, columns.flip(1), columns).to(images.device)
    batch = torch.arange(count, device=images.device)
    return images[batch[:, None, None], :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def _move(positions: Tensor, count: int, shift: int) -> Tensor:
    """`count` rows of `positions`, each moved by its own draw from -shift..shift and kept inside."""
    return (positions + torch.randint(-shift, shift + 1, (count, 1))).clamp(0, len(positions) - 1)


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
