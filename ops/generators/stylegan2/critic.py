"""The discriminator of StyleGAN2: residual, with minibatch standard deviation and a projection of the class.

Karras et al. 2020a, fig. 7c; Karras et al. 2018, §3, for the minibatch standard deviation; Miyato and Koyama 2018 for
the projection. Images are float [n, C, H, W] in -1..1.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ops.generators.stylegan2.grids import plan_grids
from ops.generators.stylegan2.layers import SMALLEST, ClassVectors, EqualConv, EqualLinear, activate


class ResidualBlock(nn.Module):
    """Two convolutions, the second of which halves the sides, beside a shortcut; the sum divided by √2."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = EqualConv(inputs, inputs, 3)
        self.second = EqualConv(inputs, outputs, 3, halve=True)
        self.shortcut = EqualConv(inputs, outputs, 1, halve=True, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        inner: Tensor = activate(self.second(activate(self.first(x))))
        return (inner + self.shortcut(x)) * math.sqrt(0.5)


class StyleCritic(nn.Module):
    """Scores of images: high for those that it takes for real.

    Parameters
    ----------
    base : channels of the finest grid.
    classes : number of classes; a single one has no projection.
    """

    def __init__(self, channels: int, height: int, width: int, *, base: int, classes: int) -> None:
        super().__init__()
        grids = plan_grids(height, width, base)
        (high, wide), inner = grids.sides[-1], grids.widths[0]
        self.pad_height, self.pad_width = high - height, wide - width
        self.first = EqualConv(channels, grids.widths[-1], 1)
        finer = list(reversed(grids.widths))
        self.blocks = nn.ModuleList(ResidualBlock(a, b) for a, b in itertools.pairwise(finer))
        self.last = EqualConv(inner + 1, inner, 3)
        self.features = EqualLinear(inner * math.prod(grids.sides[0]), inner)
        self.score = EqualLinear(inner, inner if classes > 1 else 1)
        self.vectors = ClassVectors(classes, inner) if classes > 1 else None

    def forward(self, images: Tensor, label: Tensor) -> Tensor:
        """float32 [n] of images and the classes int64 [n] that they are said to be of."""
        x = images
        if self.pad_height or self.pad_width:
            x = F.pad(x, (0, self.pad_width, 0, self.pad_height), mode="replicate")
        x = activate(self.first(x))
        for block in self.blocks:
            x = block(x)
        x = activate(self.last(append_deviation(x, label)))
        x = self.score(activate(self.features(x.flatten(1)))).float()
        if self.vectors is None:
            return x[:, 0]
        return (x * self.vectors(label)).sum(dim=1) / math.sqrt(x.shape[1])


def append_deviation(x: Tensor, label: Tensor) -> Tensor:
    """[n, C + 1, h, w]: one more channel, with the mean standard deviation among the images of the same class.

    Images of a class that are all alike have none, which gives their maker away. The publication compares images of any
    classes; there those of one class may be alike, since other ones differ.
    """
    with torch.autocast(x.device.type, enabled=False):
        same = (label[:, None] == label).float()
        same = same / same.sum(dim=1, keepdim=True)
        flat = x.float().flatten(1)
        variance = same @ (flat - same @ flat).square()
        spread = (variance + SMALLEST).sqrt().mean(dim=1)
    own = spread[:, None, None, None].expand(-1, 1, *x.shape[2:])
    return torch.cat([x, own.to(x.dtype)], dim=1)


def build_critic(config: Mapping[str, Any]) -> StyleCritic:
    """The critic beside the maker that a generator's config.json describes, newly initialised."""
    shape = config["channels"], config["height"], config["width"]
    return StyleCritic(*shape, base=config["base"], classes=max(1, len(config["class_names"])))
