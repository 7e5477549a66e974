"""A network that follows another one: an average of its earlier weights, as MoCo and BYOL learn from it."""

from __future__ import annotations

import math
from copy import deepcopy

import torch
from torch import Tensor, nn

from ops.training.averages import follow

WINDOWS = 20  # a decay d averages over 1 / (1 - d) steps; by default so many of these windows are a training
MOST_DECAY = 0.99  # AdaInf's runs of a hundred thousand steps


def choose_decay(steps: int) -> float:
    """The decay to start from where the recipe gives none: 1 - WINDOWS / steps, from 0 to MOST_DECAY.

    >>> [choose_decay(steps) for steps in (10, 200, 100_000)]
    [0.0, 0.9, 0.99]
    """
    return min(MOST_DECAY, max(0.0, 1 - WINDOWS / steps))


def grow_decay(start: float, end: float, step: int, steps: int) -> float:
    """The decay at a step: from `start` to `end` by half a cosine (Grill et al. 2020, §3.3).

    >>> [round(grow_decay(0.99, 1.0, step, 100), 4) for step in (0, 50, 100)]
    [0.99, 0.995, 1.0]
    """
    return end - (end - start) * (math.cos(math.pi * step / steps) + 1) / 2


class Follower:
    """A copy of `network` without gradients. It normalises by its own batches, as the network does while it learns."""

    def __init__(self, network: nn.Module, start: float, end: float, steps: int) -> None:
        self.network, self.range, self.steps = network, (start, end), steps
        self.average = deepcopy(network).requires_grad_(False).train()

    def follow(self, step: int) -> None:
        """θ̄ ← d·θ̄ + (1 - d)·θ with the decay d of the step; to be called once for each."""
        follow(self.average, self.network, grow_decay(*self.range, step, self.steps))

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        found: Tensor = self.average(images)
        return found.float()
