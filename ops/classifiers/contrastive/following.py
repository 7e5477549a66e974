"""A network that follows another one: an average of its earlier weights, as MoCo and BYOL learn from it."""

from __future__ import annotations

import math
from copy import deepcopy

import torch
from torch import Tensor, nn


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

    @torch.no_grad()
    def follow(self, step: int) -> None:
        """θ̄ ← d·θ̄ + (1 - d)·θ with the decay d of the step; to be called once for each."""
        mine, live = ([each.detach() for each in net.parameters()] for net in (self.average, self.network))
        torch._foreach_lerp_(mine, live, 1 - grow_decay(*self.range, step, self.steps))

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        found: Tensor = self.average(images)
        return found.float()
