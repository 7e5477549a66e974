"""The layers of MUNIT that torch does not have: AdaIN, its layer normalisation, spectral normalisation by hand.

All of them treat each image by itself and compute in float32, in training as in evaluation. So neither the batch nor
the number of threads changes what an image becomes.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

EPSILON = 1e-5
FIRST_ITERATIONS = 15  # of the power method on untrained kernels; one at each step follows them as they learn


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


class SpectralConv(PaddedConv):
    """The same with kernels divided by their largest singular value, as a matrix of one row for each output.

    The value is uᵀWv (Miyato et al. 2018, eq. 10-12). `advance` brings the buffers u and v nearer to W's singular
    vectors; a forward pass only reads them, so that parts of a batch can be computed on several threads at once.
    """

    u: Tensor
    v: Tensor

    def __init__(self, before: int, after: int, kernel: int, stride: int = 1) -> None:
        super().__init__(before, after, kernel, stride)
        self.register_buffer("u", F.normalize(torch.randn(after), dim=0))
        self.register_buffer("v", torch.zeros(before * kernel * kernel))
        self.advance(FIRST_ITERATIONS)

    @torch.no_grad()
    def advance(self, iterations: int = 1) -> None:
        """Iterations of the power method, in place."""
        matrix = self.weight.flatten(1)
        for _ in range(iterations):
            self.v.copy_(F.normalize(matrix.T @ self.u, dim=0))
            self.u.copy_(F.normalize(matrix @ self.v, dim=0))

    def find_norm(self) -> Tensor:
        """uᵀWv; its gradient reaches the kernels."""
        with torch.autocast(self.weight.device.type, enabled=False):
            return torch.dot(self.u, self.weight.flatten(1) @ self.v)

    def forward(self, x: Tensor) -> Tensor:
        return self._conv_forward(reflect(x, self.margin), self.weight / self.find_norm(), self.bias)


def advance(network: nn.Module) -> None:
    """Follow the largest singular values of all kernels in a network, which a forward pass only reads."""
    for module in network.modules():
        if isinstance(module, SpectralConv):
            module.advance()


def reflect(x: Tensor, margin: int) -> Tensor:
    """Pad each side by reflection."""
    return F.pad(x, (margin, margin, margin, margin), mode="reflect") if margin else x
