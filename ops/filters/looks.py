"""Contrast and saturation of a picture by itself: is it blank or burnt out?

Every number belongs to one image. Nothing is trained or decided here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

COARSE_SIDE = 8  # pixels a side; averaging down to this removes noise, but not a picture
BATCH = 256  # fits a core's cache


@dataclass(frozen=True, eq=False)
class Appearance:
    """One value per image, float32 [n].

    contrast: standard deviation of the levels within channels, 0..127.5, averaged over channels by squares; 0 for a
    picture of one colour. structure: the same of the picture averaged down to at most 8x8, so that slight noise on a
    blank picture hardly raises it. saturated: share of values that are 0 or 255.
    """

    contrast: np.ndarray
    structure: np.ndarray
    saturated: np.ndarray


def measure_looks(images: Tensor) -> Appearance:
    """The appearance of uint8 images [n, C, H, W]; each value depends on its own image only."""
    down, across = (_average(size) for size in images.shape[2:])
    contrast, structure, saturated = (np.empty(len(images), np.float32) for _ in range(3))
    for start in range(0, len(images), BATCH):
        rows = slice(start, start + BATCH)
        part = images[rows]
        levels = part.float()
        contrast[rows] = _spread(levels).numpy()
        structure[rows] = _spread(down @ levels @ across.T).numpy()
        # uint8 wraps: 0 - 1 is 255, so one comparison finds both 0 and 255.
        saturated[rows] = (part - 1 >= 254).flatten(1).sum(1).numpy() / part[0].numel()
    return Appearance(contrast, structure, saturated)


def _average(size: int) -> Tensor:
    """The matrix that averages a line of `size` pixels down to at most COARSE_SIDE."""
    return F.adaptive_avg_pool1d(torch.eye(size), min(size, COARSE_SIDE)).T


def _spread(levels: Tensor) -> Tensor:
    """Standard deviation within channels, float32 [n], of [n, C, h, w]."""
    flat = levels.flatten(2)
    away = flat - flat.mean(dim=2, keepdim=True)
    return away.square_().mean(dim=2).mean(dim=1).sqrt()
