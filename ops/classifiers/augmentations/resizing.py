"""Random resized crops of a whole batch at once: two matrix products instead of an image after an image.

A crop that is resized to the image's own size is linear in rows and in columns. So the batch is R · x · Cᵀ, with one
matrix of weights for each image and axis. The weights are those of bicubic interpolation as Pillow has it (Keys 1981,
a = -1/2, taps outside of the crop left out), the boxes those of torchvision's RandomResizedCrop. The module knows no
colours and no labels.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

TRIES = 10  # boxes that are drawn for an image before its whole is taken
RATIO = 3 / 4, 4 / 3  # width to height
SHARPNESS = -0.5  # Keys' a


def draw_boxes(count: int, side: tuple[int, int], least: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Top, left, height and width of `count` boxes in images of `side` = (height, width), int64 [count] each.

    A box has a share of the area that is uniform in least..1, and a ratio of width to height that is uniform in its
    logarithm. The first of TRIES boxes that fits is taken, and the largest box in the middle if none does.
    """
    height, width = side
    area = height * width * (least + (1 - least) * torch.rand(count, TRIES))
    low, high = (math.log(ratio) for ratio in RATIO)
    ratio = torch.exp(low + (high - low) * torch.rand(count, TRIES))
    wide, tall = (area * ratio).sqrt().round().long(), (area / ratio).sqrt().round().long()
    fits = (wide >= 1) & (tall >= 1) & (wide <= width) & (tall <= height)
    first = fits.long().argmax(dim=1, keepdim=True)  # of equal ones the first
    whole_height, whole_width = _find_whole(height, width)
    some = fits.any(dim=1)
    tall = torch.where(some, tall.gather(1, first)[:, 0], whole_height)
    wide = torch.where(some, wide.gather(1, first)[:, 0], whole_width)
    place = torch.rand(2, count)
    top, left = ((side_ - size + 1) * u for side_, size, u in ((height, tall, place[0]), (width, wide, place[1])))
    top = torch.where(some, top.long(), (height - tall) // 2)
    left = torch.where(some, left.long(), (width - wide) // 2)
    return top, left, tall, wide


def resize(images: Tensor, boxes: tuple[Tensor, Tensor, Tensor, Tensor], mirrored: Tensor) -> Tensor:
    """The boxes of images float [n, C, H, W], resized to (H, W) and mirrored where `mirrored` bool [n] says so.

    Bicubic interpolation overshoots: values in -1..1 stay there.
    """
    count, channels, height, width = images.shape
    top, left, tall, wide = boxes
    rows = weigh_pixels(top, tall, height)
    columns = weigh_pixels(left, wide, width)
    columns = torch.where(mirrored[:, None, None], columns.flip(1), columns)
    rows, columns = rows.to(images), columns.to(images)
    stacked = images.reshape(count, channels * height, width)
    across = torch.bmm(stacked, columns.transpose(1, 2)).view(count, channels, height, width)
    if channels == 1:
        return torch.bmm(rows, across[:, 0]).clamp_(-1, 1)[:, None]
    return (rows[:, None] @ across).clamp_(-1, 1)


def weigh_pixels(first: Tensor, size: Tensor, length: int) -> Tensor:
    """Weights float [n, length, length] of old pixels in each new one, for stretches of `size` pixels from `first` on.

    first, size : int64 [n]; each stretch lies within 0..length.
    """
    scale = (size / length)[:, None]
    centre = (torch.arange(length) + 0.5) * scale  # of a new pixel, from the begin of the stretch
    begin = (centre - 2 + 0.5).floor()  # the first tap of four, or of more where nothing is enlarged
    taps = begin[:, :, None] + torch.arange(5)
    weights = _bicubic(taps + 0.5 - centre[:, :, None])
    weights = weights * ((taps >= 0) & (taps < size[:, None, None]))
    weights = weights / weights.sum(dim=2, keepdim=True)
    places = (taps.long() + first[:, None, None]).clamp(0, length - 1)
    return torch.zeros(len(first), length, length).scatter_add_(2, places, weights)


def _bicubic(x: Tensor) -> Tensor:
    """Keys' kernel at distances x."""
    x, a = x.abs(), SHARPNESS
    near = ((a + 2) * x - (a + 3)) * x.square() + 1
    far = a * (((x - 5) * x + 8) * x - 4)
    return torch.where(x < 1, near, torch.where(x < 2, far, 0.0))


def _find_whole(height: int, width: int) -> tuple[int, int]:
    """Height and width of the largest box whose ratio is allowed."""
    if width / height < RATIO[0]:
        return round(width / RATIO[0]), width
    if width / height > RATIO[1]:
        return height, round(height * RATIO[1])
    return height, width
