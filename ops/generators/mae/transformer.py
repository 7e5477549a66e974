"""A layer of a vision transformer, and the fixed embedding of places (Dosovitskiy et al. 2021; He et al. 2022).

Attributes are named as in transformers' `ViTMAEForPreTraining`, because the weights in a folder go by these names.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WAVELENGTH = 10_000.0  # the longest one of an embedding, divided by 2π


class Attention(nn.Module):
    """Self-attention with several heads."""

    def __init__(self, width: int, heads: int, bias: bool) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj = nn.Linear(width, width, bias=bias)
        self.k_proj = nn.Linear(width, width, bias=bias)
        self.v_proj = nn.Linear(width, width, bias=bias)
        self.o_proj = nn.Linear(width, width)

    def forward(self, x: Tensor, hidden: Tensor | None) -> Tensor:
        """Of tokens [n, T, width]; none attends to those that are hidden, bool [n, T]."""
        query, key, value = (self._split(layer(x)) for layer in (self.q_proj, self.k_proj, self.v_proj))
        likeness = query @ key.transpose(2, 3) / math.sqrt(query.shape[3])
        if hidden is not None:
            likeness = likeness.masked_fill(hidden[:, None, None, :], -torch.inf)
        mixed = likeness.softmax(dim=3).to(value.dtype) @ value
        result: Tensor = self.o_proj(mixed.transpose(1, 2).flatten(2))
        return result

    def _split(self, x: Tensor) -> Tensor:
        """[n, heads, T, width of a head]."""
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)


class Mlp(nn.Module):
    """The hidden part of a layer."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(width, inner), nn.Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.fc2(F.gelu(self.fc1(x)))
        return result


class Layer(nn.Module):
    """Attention and MLP, each behind a layer norm and beside a shortcut."""

    def __init__(self, width: int, heads: int, inner: int, *, bias: bool, epsilon: float) -> None:
        super().__init__()
        self.attention = Attention(width, heads, bias)
        self.mlp = Mlp(width, inner)
        self.layernorm_before = nn.LayerNorm(width, eps=epsilon)
        self.layernorm_after = nn.LayerNorm(width, eps=epsilon)

    def forward(self, x: Tensor, hidden: Tensor | None = None) -> Tensor:
        x = x + self.attention(self.layernorm_before(x), hidden)
        result: Tensor = x + self.mlp(self.layernorm_after(x))
        return result


def embed_places(grid: tuple[int, int], width: int) -> Tensor:
    """The fixed embedding [1, 1 + rows · columns, width], zero for the class token.

    Sines and cosines of the column, then of the row, as in the published code.
    """
    frequency = WAVELENGTH ** -(torch.arange(width // 4, dtype=torch.float64) / (width // 4))
    row, column = torch.meshgrid(*(torch.arange(side, dtype=torch.float64) for side in grid), indexing="ij")
    halves = [torch.cat([angle.sin(), angle.cos()], dim=1) for angle in (
        place.reshape(-1, 1) * frequency for place in (column, row)
    )]  # fmt: skip
    return F.pad(torch.cat(halves, dim=1), (0, 0, 1, 0))[None].float()
