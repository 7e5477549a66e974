"""A head that compares directions: its logits are the cosines of features and class vectors, times a constant."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class CosineHead(nn.Module):
    """Logits s cos(x, w_c), [n, K], of features x [n, features] and class vectors w_c of any length.

    The class vectors begin with length 1, in uniformly random directions of a cube, as in LDAM's published code.
    """

    def __init__(self, features: int, classes: int, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.weight = nn.Parameter(F.normalize(torch.empty(classes, features).uniform_(-1, 1)))

    def forward(self, x: Tensor) -> Tensor:
        # In float32: bf16 would round a logit of 30 to eighths.
        with torch.autocast(x.device.type, enabled=False):
            return self.scale * F.linear(F.normalize(x.float()), F.normalize(self.weight))
