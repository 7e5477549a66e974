"""What a picture shows by itself: is there anything in it, or is it blank, or burnt out?

Every number is of one image; nothing is learned here and nothing decided.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

COARSE = 8  # pixels a side in which noise has averaged out and a picture has not
BATCH = 2048


@dataclass(frozen=True, eq=False)
class Appearance:
    """One value per image, float32 [n].

    contrast: standard deviation of the levels, 0..127.5, the root of the channels' mean square: one colour all over
    has none. structure: the same of the picture averaged down to at most 8x8, which slight noise on a blank picture
    hardly raises. saturated: share of values that are 0 or 255.
    """

    contrast: np.ndarray
    structure: np.ndarray
    saturated: np.ndarray


def measure_looks(images: Tensor) -> Appearance:
    """Of uint8 images [n, C, H, W]; each value depends on its own image only."""
    side = min(images.shape[2], COARSE), min(images.shape[3], COARSE)
    contrast, structure, saturated = (np.empty(len(images), np.float32) for _ in range(3))
    for start in range(0, len(images), BATCH):
        rows = slice(start, start + BATCH)
        part = images[rows]
        levels = part.float()
        contrast[rows] = _spread(levels).numpy()
        structure[rows] = _spread(F.adaptive_avg_pool2d(levels, side)).numpy()
        saturated[rows] = ((part == 0) | (part == 255)).flatten(1).float().mean(1).numpy()
    return Appearance(contrast, structure, saturated)


def _spread(levels: Tensor) -> Tensor:
    """Standard deviation within channels, float32 [n], of [n, C, h, w]."""
    return torch.var(levels.flatten(2), dim=2, correction=0).mean(1).sqrt()
