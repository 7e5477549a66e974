"""Mixtures of Gaussians in the plane that GANs tend to cover in part, and how well some points cover them.

The mixtures are those of mixup's published demonstration (github.com/hongyi-zhang/mixup, gan/example_gan.py). The
measures are those of VEEGAN (Srivastava et al., NeurIPS 2017), which later work on lost modes shares.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

DEVIATION = 0.01  # standard deviation of each Gaussian along each axis
REACH = 3  # a point is of high quality if it lies within so many deviations of a mode
POINTS = 2500  # that a generator is measured on


def place_ring(modes: int = 8) -> Tensor:
    """Evenly on the unit circle, float32 [modes, 2]."""
    angles = torch.arange(modes) * (2 * math.pi / modes)
    return torch.stack([angles.sin(), angles.cos()], dim=1)


def place_grid(side: int = 5) -> Tensor:
    """Evenly on the square from -1 to 1, float32 [side², 2]."""
    along = torch.linspace(-1, 1, side)
    return torch.cartesian_prod(along, along)


MIXTURES: dict[str, Callable[[], Tensor]] = {"ring": place_ring, "grid": place_grid}


def draw_points(modes: Tensor, number: int, random: torch.Generator) -> Tensor:
    """Points of the mixture, float32 [number, 2]; all modes are equally likely."""
    chosen = torch.randint(len(modes), (number,), generator=random)
    return modes[chosen] + DEVIATION * torch.randn(number, 2, generator=random)


@dataclass(frozen=True)
class Coverage:
    """How well some points cover a mixture.

    modes: number of modes that are the nearest one to some point of high quality. high_quality: share of such points.
    """

    modes: int
    high_quality: float


def measure_coverage(points: Tensor, modes: Tensor) -> Coverage:
    """The coverage of modes, float [m, 2], by points, float [n, 2]. A point that is not finite covers nothing."""
    distances, nearest = torch.cdist(points.double(), modes.double()).min(dim=1)
    is_good = distances <= REACH * DEVIATION  # False for nan
    return Coverage(len(nearest[is_good].unique()), float(is_good.double().mean()))
