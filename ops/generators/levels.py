"""Between grey levels, uint8 [n, H, W, C], and the numbers that networks compute with, float [n, C, H, W] in -1..1."""

from __future__ import annotations

import torch
from torch import Tensor


def to_float(images: Tensor) -> Tensor:
    """uint8 [n, H, W, C] to float [n, C, H, W] in -1..1."""
    return images.permute(0, 3, 1, 2).float() / 127.5 - 1


def to_pixels(images: Tensor) -> Tensor:
    """Float [n, C, H, W] in -1..1 (clamped) to uint8 [n, H, W, C]."""
    return ((images.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1)
