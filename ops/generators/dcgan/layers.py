"""The norms of DCGAN: over a batch in training, and with measured statistics when images are drawn.

A norm has no running averages. They would be those of other weights than the averaged ones that draw, and of an order
that depends on threads. `ClassNorm.measure` sets the statistics for the weights that the network has (compare Wu &
Johnson 2021, "Rethinking 'Batch' in BatchNorm", §3).
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

EPSILON = 1e-5


class ClassNorm(nn.Module):
    """Batch norm with a gain and a shift for each class (conditional batch norm: Dumoulin et al. 2017, eq. 5; Miyato &
    Koyama 2018).

    In training it takes mean and biased variance of the batch, in evaluation those that were measured. So there an
    image does not depend on the others of its batch.
    """

    mean: Tensor
    variance: Tensor

    def __init__(self, classes: int, channels: int) -> None:
        super().__init__()
        self.gain, self.shift = nn.Embedding(classes, channels), nn.Embedding(classes, channels)
        nn.init.ones_(self.gain.weight)
        nn.init.zeros_(self.shift.weight)
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("variance", torch.ones(channels))

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        """float32 [n, C, H, W]."""
        gain, shift, x = self.gain(label), self.shift(label), x.float()
        if self.training:
            x = F.batch_norm(x, None, None, training=True, eps=EPSILON)
        else:
            gain = gain * (self.variance + EPSILON).rsqrt()
            shift = shift - self.mean * gain
        return gain[:, :, None, None] * x + shift[:, :, None, None]

    def measure(self, parts: Iterable[Tensor]) -> None:
        """Take mean and variance of a sample for evaluation, from its parts [n, C, H, W] one after another."""
        count, total, squares = 0, torch.zeros_like(self.mean).double(), torch.zeros_like(self.mean).double()
        for part in parts:
            x = part.double()
            count += x.numel() // x.shape[1]
            total += x.sum(dim=(0, 2, 3))
            squares += x.square().sum(dim=(0, 2, 3))
        mean = total / count
        self.mean.copy_(mean)
        self.variance.copy_((squares / count - mean.square()).clamp(min=0.0))


class PartNorm(nn.Module):
    """Batch norm of a critic, which only ever learns: always over the images that it is given."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gain, self.shift = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """float32 [n, C, H, W]."""
        return F.batch_norm(x.float(), None, None, self.gain, self.shift, training=True, eps=EPSILON)
