"""The projection onto the ball of radius ε around a latent: how far imagination may go from the seed image.

It is what keeps the class (`ops.imagination.criteria` explains why the score does not), and it is also where guidance
gets lost: an element on the boundary before and after the step has not been guided. For latents of standard deviation
0.9 and a step of 0.1, 46 % of the elements are the same with and without guidance at ε = 0.8, and 89 % at the ε = 0.1
of GIF's medical sets (simulated). So every variant records what was clamped.

The bound is exact and not up to rounding: no element of a result is farther away than ε, computed in float64. In
float32, f + ε often lies beyond it by one step of the number format.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Norm = Literal["linf", "l2"]
SLACK = 1e-12  # relative; float64 sums of squares are exact to about this


@dataclass(frozen=True)
class Ball:
    """All latents within `radius` (> 0, in the latent's unit) of a centre.

    norm : "linf" bounds each element, as GIF does; "l2" bounds the Euclidean length over all elements of a latent.
    """

    radius: float
    norm: Norm = "linf"

    def __post_init__(self) -> None:
        if not self.radius > 0:
            raise ValueError(f"the radius of a ball must be above 0, not {self.radius}")


def project(moved: Tensor, centre: Tensor, ball: Ball) -> Tensor:
    """The points of the balls around `centre` [n, ...] that are nearest to `moved` [n, ...], of any float type.

    Points inside come back bit by bit. It is differentiable: no gradient passes an element that is clamped (linf), and
    none along the radius of a point outside (l2).
    """
    if ball.norm == "linf":
        low, high = (_step_inside(_round(centre, side * ball.radius), centre, ball.radius) for side in (-1, 1))
        return moved.clamp(low, high)
    offset = moved.double() - centre.double()
    length = offset.flatten(1).norm(dim=1).view(-1, *[1] * (moved.dim() - 1))
    # Below the radius the factor is 1 and has no gradient, so that an offset of 0 divides nothing by 0.
    offset = offset * (ball.radius * (1 - SLACK) / length.clamp(min=ball.radius))
    shrunk = (centre.double() + offset).to(moved.dtype)
    inside = _step_inside(shrunk.detach(), centre, offset.detach().abs())
    return torch.where(length > ball.radius, shrunk + (inside - shrunk).detach(), moved)


def measure_clamped(moved: Tensor, projected: Tensor) -> Tensor:
    """The share in 0..1 of each latent's elements that the projection changed, float32 [n].

    With l2 it is near 0 or 1: the projection changes all elements of a point or none.
    """
    return (moved != projected).flatten(1).float().mean(1)


def _round(centre: Tensor, by: float) -> Tensor:
    return (centre.detach().double() + by).to(centre.dtype)


def _step_inside(bound: Tensor, centre: Tensor, reach: float | Tensor) -> Tensor:
    """`bound`, one step of its number format nearer to `centre` wherever it is farther than `reach` from it."""
    beyond = (bound.double() - centre.detach().double()).abs() > reach
    return torch.where(beyond, torch.nextafter(bound, centre.detach()), bound)
