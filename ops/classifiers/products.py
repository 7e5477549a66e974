"""How many products a classifier computes for an image, from its settings alone: a guess of its cost without torch.

A multiplication and an addition count as two, as in torch's FlopCounterMode; norms and activations count nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from ops.recipe.arms import Mlp, Network, ResNet18, SmallResNet

Shape = tuple[int, int, int]  # channels, height, width
KERNEL = 2 * 9  # of a 3 x 3 convolution, for each pair of channels and each place


def count_products(network: Network, shape: Shape) -> float:
    """Products of one image's way through the body; the head's are few."""
    return COUNTS[network.kind](network, shape)


def _count_small_resnet(network: SmallResNet, shape: Shape) -> float:
    channels, height, width = shape
    wide = network.width
    deeper = (network.stem or (2 if min(height, width) >= 64 else 1)) - 1
    half, quarter = _halve(height, width, 2), _halve(height, width, 4)
    first = half * (channels * wide + (deeper + 2) * wide**2)
    return float(KERNEL * (first + quarter * (wide * 2 * wide + 2 * (2 * wide) ** 2)))


def _count_resnet18(network: ResNet18, shape: Shape) -> float:
    channels, height, width = shape
    wide, total, before = network.width, float(KERNEL * height * width * channels * network.width), network.width
    for level, after in enumerate((wide, 2 * wide, 4 * wide, 8 * wide)):
        shortcut = 2 * before * after if before != after else 0
        total += _halve(height, width, 2**level) * (KERNEL * (before * after + 3 * after**2) + shortcut)
        before = after
    return total


def _count_mlp(network: Mlp, shape: Shape) -> float:
    return float(2 * sum(before * after for before, after in pairwise((math.prod(shape), *network.widths))))


def _halve(height: int, width: int, divisor: int) -> int:
    """Places of a map after strides."""
    return math.ceil(height / divisor) * math.ceil(width / divisor)


COUNTS: dict[str, Callable[[Any, Shape], float]] = {
    "small_resnet": _count_small_resnet,
    "resnet18": _count_resnet18,
    "mlp": _count_mlp,
}
