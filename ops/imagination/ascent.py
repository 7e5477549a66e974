"""Gradient ascent on z and b: N steps uphill, by sign, plainly or with Adam.

A score's gradient with respect to a latent channel depends on the decoder's scale, so a step of fixed length per number
(sign, Adam) needs no tuning per prior, and a plain step does. Every rule works on each number by itself: a variant's
way does not depend on which others climb beside it, but through the score.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, TypeVar

import torch
from torch import Tensor

from ops.imagination.perturbation import Perturbation

BETAS, TINY = (0.9, 0.999), 1e-8  # Adam's, Kingma & Ba 2015


@dataclass(frozen=True)
class Ascent:
    """How z and b climb.

    rule : "sign" adds size · sign(g), the release's; "plain" adds size · g; "adam" adds Adam's step of rate `size`.
    steps : 1 or more. size : above 0.
    """

    rule: Literal["sign", "plain", "adam"] = "sign"
    steps: int = 1
    size: float = 0.1

    def __post_init__(self) -> None:
        if self.steps < 1 or not self.size > 0:
            raise ValueError(f"an ascent needs 1 step or more of a size above 0, not {self.steps} of {self.size}")


class Slope(Protocol):
    """A gradient with respect to z and b; it may hold more that was found on the way."""

    @property
    def gradient(self) -> Perturbation: ...


Found = TypeVar("Found", bound=Slope)


def climb(
    start: Perturbation, find_slope: Callable[[Perturbation], Found], ascent: Ascent
) -> tuple[Perturbation, Found]:
    """Where z and b end, and the slope at the start. The range of z and b is not constrained, as in the release."""
    here, first, memories = start, None, [_Adam() for _ in start]
    for _ in range(ascent.steps):
        slope = find_slope(here)
        first = first or slope
        moves = (
            _find_move(gradient, ascent, memory) for gradient, memory in zip(slope.gradient, memories, strict=True)
        )
        here = Perturbation(*(value + move for value, move in zip(here, moves, strict=True)))
    assert first is not None  # there is a step
    return here, first


def _find_move(gradient: Tensor, ascent: Ascent, memory: _Adam) -> Tensor:
    if ascent.rule == "sign":
        return ascent.size * gradient.sign()
    if ascent.rule == "plain":
        return ascent.size * gradient
    return ascent.size * memory.advance(gradient)


class _Adam:
    """The moments of one tensor's gradients."""

    def __init__(self) -> None:
        self.step, self.mean, self.square = 0, torch.zeros(()), torch.zeros(())

    def advance(self, gradient: Tensor) -> Tensor:
        """The step for a rate of 1."""
        self.step += 1
        one, two = BETAS
        self.mean = one * self.mean.to(gradient) + (1 - one) * gradient
        self.square = two * self.square.to(gradient) + (1 - two) * gradient.square()
        mean, square = self.mean / (1 - one**self.step), self.square / (1 - two**self.step)
        return mean / (square.sqrt() + TINY)
