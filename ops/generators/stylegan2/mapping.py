"""The mapping network of StyleGAN2: noise and class to a style w (Karras et al. 2019, §2; conditional as in 2020b)."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from ops.generators.stylegan2.layers import ClassVectors, EqualLinear, activate, normalise

RATE = 0.01  # of the mapping's learning rate: its layers act on all others


class StyleMapping(nn.Module):
    """z ~ N(0, I) and label int64 [n] to a style w [n, style].

    z and the class's vector are each normalised to a second moment of 1. A single class has no vector.
    `centres` [classes, style] are the classes' mean styles, which truncation moves towards; `find_centres` sets them.
    """

    centres: Tensor

    def __init__(self, style: int, layers: int, classes: int) -> None:
        super().__init__()
        self.style, self.classes = style, classes
        self.vectors = ClassVectors(classes, style) if classes > 1 else None
        sizes = [style * (2 if classes > 1 else 1), *[style] * layers]
        self.layers = nn.ModuleList(EqualLinear(a, b, rate=RATE) for a, b in itertools.pairwise(sizes))
        self.register_buffer("centres", torch.zeros(classes, style))

    def forward(self, z: Tensor, label: Tensor) -> Tensor:
        """float32 [n, style], of the first numbers of z [n, ...]."""
        x = normalise(z[:, : self.style])
        if self.vectors is not None:
            x = torch.cat([x, self.vectors(label)], dim=1)
        for layer in self.layers:
            x = activate(layer(x))
        return x.float()

    def truncate(self, w: Tensor, label: Tensor, truncation: float) -> Tensor:
        """w̄ + ψ (w - w̄), with the mean w̄ of the label's class."""
        centre = self.centres[label]
        return centre + truncation * (w - centre)

    @torch.no_grad()
    def find_centres(self, z: Tensor) -> None:
        """Set the centre of each class to the mean of its styles of z [n, ...]."""
        for label in range(self.classes):
            self.centres[label] = self(z, torch.full((len(z),), label, device=z.device)).mean(dim=0)
