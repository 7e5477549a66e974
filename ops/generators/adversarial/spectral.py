"""Spectral normalisation by hand: kernels divided by their largest singular value, which follows them as they learn.

torch's own changes its vectors in a forward pass, so that parts of a batch could not be computed on several threads.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FIRST_ITERATIONS = 15  # of the power method on untrained kernels; one at each step follows them as they learn


class SpectralKernel(nn.Conv2d):
    """A convolution that divides its kernels by their largest singular value, as a matrix of one row for each output.

    The value is uᵀWv (Miyato et al. 2018, eq. 10-12). `advance` brings the buffers u and v nearer to W's singular
    vectors; a forward pass only reads them. Classes that pad in another way inherit from it first.
    """

    u: Tensor
    v: Tensor

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.register_buffer("u", F.normalize(torch.randn(len(self.weight)), dim=0))
        self.register_buffer("v", torch.zeros(self.weight[0].numel()))
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

    def find_kernel(self) -> Tensor:
        """The divided kernels."""
        return self.weight / self.find_norm()

    def forward(self, x: Tensor) -> Tensor:
        return self._conv_forward(x, self.find_kernel(), self.bias)


def advance(network: nn.Module, iterations: int = 1) -> None:
    """Follow the largest singular values of all kernels in a network, which a forward pass only reads."""
    for module in network.modules():
        if isinstance(module, SpectralKernel):
            module.advance(iterations)
