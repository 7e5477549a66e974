"""The layers of MUNIT that torch does not have: AdaIN, its layer normalisation, reflecting convolutions.

All of them treat each image by itself and compute in float32, in training as in evaluation. So neither the batch nor
the number of threads changes what an image becomes.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ops.generators.adversarial.spectral import SpectralKernel

EPSILON = 1e-5


def adapt(z: Tensor, gain: Tensor, shift: Tensor) -> Tensor:
    """AdaIN: z' = gain · (z - μ) / sqrt(σ² + ε) + shift, by sample and channel (Huang & Belongie 2017, eq. 8).

    Parameters
    ----------
    z : [n, C, H, W]; μ and the biased variance σ² are those of its H·W places.
    gain, shift : [n, C], as the style gives them.
    """
    return gain.float()[:, :, None, None] * standardise(z) + shift.float()[:, :, None, None]


def standardise(z: Tensor) -> Tensor:
    """Instance normalisation without weights, float32; the biased variance."""
    return F.instance_norm(z.float(), eps=EPSILON)


class LayerNorm(nn.Module):
    """MUNIT's: over channels and places of a sample, so that channels keep their shares, which instance norm erases.

    (x - μ) / (σ + ε) with the *unbiased* σ, then a gain and a shift for each channel.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.rand(channels))
        self.shift = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """float32 [n, C, H, W]."""
        x = x.float()
        mean = x.mean(dim=(1, 2, 3), keepdim=True)
        deviation = x.std(dim=(1, 2, 3), keepdim=True, correction=1)
        return (x - mean) / (deviation + EPSILON) * self.gain[:, None, None] + self.shift[:, None, None]


class PaddedConv(nn.Conv2d):
    """A convolution whose padding reflects the image; a side must be longer than the padding."""

    def __init__(self, before: int, after: int, kernel: int, stride: int = 1) -> None:
        super().__init__(before, after, kernel, stride)
        self.margin = (kernel - 1) // 2

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(reflect(x, self.margin))


class SpectralConv(SpectralKernel, PaddedConv):
    """The same with kernels divided by their largest singular value."""

    def forward(self, x: Tensor) -> Tensor:
        return self._conv_forward(reflect(x, self.margin), self.find_kernel(), self.bias)


def reflect(x: Tensor, margin: int) -> Tensor:
    """Pad each side by reflection."""
    return F.pad(x, (margin, margin, margin, margin), mode="reflect") if margin else x
