"""Between the images of a dataset, float [n, C, H, W] in -1..1, and those that a masked autoencoder sees.

A network that is trained here sees the images as they are, padded to whole patches. One that was trained elsewhere sees
colour images of its own side, on its own scale. Both ways are differentiable and can be exported. Resizing is linear
in each direction, so it is done by one matrix for rows and one for columns.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ops.generators.mae.sizes import Shape

LUMINANCE = (0.299, 0.587, 0.114)  # ITU-R BT.601, as Pillow does


class Padding(nn.Module):
    """Sides become `size` (height, width) by repeating the last row and column, which are cut off again."""

    def __init__(self, shape: Shape, size: Sequence[int]) -> None:
        super().__init__()
        _, self.height, self.width = shape
        self.below, self.beside = size[0] - self.height, size[1] - self.width

    def enter(self, x: Tensor) -> Tensor:
        return F.pad(x, (0, self.beside, 0, self.below), mode="replicate") if self.below or self.beside else x

    def leave(self, x: Tensor) -> Tensor:
        return x[..., : self.height, : self.width]


class Resizing(nn.Module):
    """Images become colour images of `size` (height, width), standardised by the network's mean and deviation.

    shape : (C, H, W) of the dataset's images, C of 1 or 3. mode : bilinear or bicubic, with anti-aliasing. mean, std :
    of each colour of images in 0..1.
    """

    rows: Tensor
    columns: Tensor
    rows_back: Tensor
    columns_back: Tensor
    mean: Tensor
    std: Tensor
    luminance: Tensor

    def __init__(
        self, shape: Shape, size: Sequence[int], *, mode: str, mean: Sequence[float], std: Sequence[float]
    ) -> None:
        super().__init__()
        self.channels, height, width = shape
        constants = {
            "rows": find_resizing(height, size[0], mode),
            "columns": find_resizing(width, size[1], mode).T.contiguous(),
            "rows_back": find_resizing(size[0], height, mode),
            "columns_back": find_resizing(size[1], width, mode).T.contiguous(),
            "mean": torch.tensor(mean).view(1, 3, 1, 1),
            "std": torch.tensor(std).view(1, 3, 1, 1),
            "luminance": torch.tensor(LUMINANCE).view(1, 3, 1, 1),
        }
        for name, value in constants.items():
            self.register_buffer(name, value, persistent=False)  # they follow from the sizes

    def enter(self, x: Tensor) -> Tensor:
        large = (self.rows @ ((x + 1) / 2) @ self.columns).clamp(0, 1)
        return (large.expand(-1, 3, -1, -1) - self.mean) / self.std

    def leave(self, x: Tensor) -> Tensor:
        small = self.rows_back @ (x * self.std + self.mean) @ self.columns_back
        if self.channels == 1:
            small = (small * self.luminance).sum(dim=1, keepdim=True)
        return small * 2 - 1


def find_resizing(before: int, after: int, mode: str) -> Tensor:
    """The matrix [after, before] that resizes a column of pixels, with anti-aliasing."""
    if before == after:
        return torch.eye(before)
    each = torch.eye(before)[None, None]  # one column for each pixel
    return F.interpolate(each, (after, before), mode=mode, align_corners=False, antialias=True)[0, 0].contiguous()
