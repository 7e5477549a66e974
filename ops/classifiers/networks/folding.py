"""A network that only answers needs no batch normalisation: its fixed scale and shift belong to the layer before it.

With y = W x and a normalisation of mean μ, variance σ², scale γ and shift β, γ (W x - μ) / sqrt(σ² + ε) + β is
(s W) x + (β - s μ) with s = γ / sqrt(σ² + ε). It is the same function with one pass over memory fewer for each layer.
Floats round differently: hardly in fp32, and in bf16 the distance to fp32 can be twice that of the network itself.
"""

from __future__ import annotations

from copy import deepcopy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ops.classifiers.networks.layers import Conv


class FoldedConv(nn.Module):
    """A convolution as `Conv`, with a bias; its kernel [outputs, inputs, size, size] is kept in channels-last order."""

    kernel: Tensor
    bias: Tensor

    def __init__(self, kernel: Tensor, bias: Tensor, stride: int) -> None:
        super().__init__()
        self.stride, self.padding = stride, kernel.shape[-1] // 2
        self.register_buffer("kernel", kernel.contiguous(memory_format=torch.channels_last))
        self.register_buffer("bias", bias)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.kernel, self.bias, stride=self.stride, padding=self.padding)


def fold_norms(network: nn.Module, dtype: torch.dtype = torch.float32) -> nn.Module:
    """A copy of a network in evaluation mode that answers alike and cannot be trained.

    In every `nn.Sequential` a batch normalisation that follows a `Conv` or a linear layer is folded into that; other
    ones stay. dtype: of the convolutions, that in which they will be computed. ValueError for a network in training
    mode, whose statistics are those of each batch.
    """
    if network.training:
        raise ValueError("only a network in evaluation mode has fixed statistics to fold")
    copy = deepcopy(network).requires_grad_(False)
    for block in [module for module in copy.modules() if isinstance(module, nn.Sequential)]:
        for place in range(len(block) - 1):
            layer, norm = block[place], block[place + 1]
            if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d) and isinstance(layer, Conv | nn.Linear):
                block[place], block[place + 1] = _fold(layer, norm, dtype), nn.Identity()
    return copy


def _fold(layer: Conv | nn.Linear, norm: nn.BatchNorm1d | nn.BatchNorm2d, dtype: torch.dtype) -> nn.Module:
    assert norm.running_mean is not None and norm.running_var is not None, "no network here normalises by its batch"
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    bias = norm.bias - scale * norm.running_mean
    if isinstance(layer, Conv):
        return FoldedConv(scale[:, None, None, None] * layer.kernel, bias, layer.stride).to(dtype)
    folded = nn.Linear(layer.in_features, layer.out_features, device=layer.weight.device).requires_grad_(False)
    folded.weight.copy_(scale[:, None] * layer.weight)
    folded.bias.copy_(bias if layer.bias is None else bias + scale * layer.bias)
    return folded.eval()
