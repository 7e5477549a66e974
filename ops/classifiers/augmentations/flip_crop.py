"""Mirroring and small shifts, the customary augmentation of small images: by default 2 pixels at 28, near CIFAR's
customary 4 at 32."""

from __future__ import annotations

import torch
from torch import Tensor

from ops.classifiers.ingredients import Augmentation
from ops.recipe.arms import FlipCrop


class FlipAndCrop(Augmentation):
    """Each image mirrored with probability 1/2 and moved by up to `strength` of the shorter side, edges repeated.

    A strength above 0 moves by one pixel at least.
    """

    def __init__(self, settings: FlipCrop, side: tuple[int, int]) -> None:
        self.shift = max(1, round(min(side) * settings.strength)) if settings.strength else 0

    def __call__(self, images: Tensor) -> Tensor:
        return flip_and_shift(images, self.shift)

    @classmethod
    def mirrors(cls, settings: FlipCrop) -> bool:
        return True


def flip_and_shift(images: Tensor, shift: int, flip: float = 0.5) -> Tensor:
    """Each image mirrored with probability `flip` and moved by up to `shift` pixels each way, edges repeated.

    Equal to padding by repetition and cropping image by image, but one gather for the whole batch.
    """
    count, channels, height, width = images.shape
    rows = _move(torch.arange(height), count, shift).to(images.device)
    columns = _move(torch.arange(width), count, shift)
    columns = torch.where(torch.rand(count, 1) < flip, columns.flip(1), columns).to(images.device)
    places = (rows[:, :, None] * width + columns[:, None, :]).reshape(count, 1, -1).expand(-1, channels, -1)
    moved = images.reshape(count, channels, -1).gather(2, places)
    return moved.reshape(images.shape).clone(memory_format=torch.channels_last)


def _move(positions: Tensor, count: int, shift: int) -> Tensor:
    """`count` rows of `positions`, each moved by its own draw from -shift..shift and kept inside."""
    return (positions + torch.randint(-shift, shift + 1, (count, 1))).clamp(0, len(positions) - 1)
