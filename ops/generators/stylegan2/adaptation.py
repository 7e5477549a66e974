"""Adaptive discriminator augmentation (ADA): how strongly the critic's images are augmented, by how sure it is.

Karras et al. 2020b ("Training generative adversarial networks with limited data"), §3. The heuristic r = E[sign D(x)]
over real images is 0 where the critic knows nothing, and 1 where it knows every training image. p, the probability of
each operation, rises while r is above its target, and falls while it is below.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

EVERY = 4  # steps between two changes of p, as published
MOST = 0.8  # of p: above it augmentations begin to leak (2020b, §2.2)


def adapt(p: float, r: float, *, target: float, share: float) -> float:
    """p one change later: up where r is above its target, down where below, by `share`; within 0..MOST."""
    change = share if r > target else -share if r < target else 0.0
    return min(MOST, max(0.0, p + change))


class Adaptation(nn.Module):
    """p and what it follows from, as buffers, so that a checkpoint holds them.

    Parameters
    ----------
    target : of r. images : real ones in which p could rise from 0 to 1.
    """

    p: Tensor
    signs: Tensor

    def __init__(self, target: float, images: int) -> None:
        super().__init__()
        self.target, self.images = target, images
        self.register_buffer("p", torch.zeros((), dtype=torch.float64))
        self.register_buffer("signs", torch.zeros(2, dtype=torch.float64))  # their sum, and how many

    def observe(self, step: int, scores: Tensor) -> None:
        """Take in the critic's scores [n] of real images at a step, counted from 0, and change p at every fourth."""
        self.signs += torch.stack([scores.detach().sign().double().sum(), self.signs.new_tensor(float(len(scores)))])
        if (step + 1) % EVERY == 0:
            total, count = self.signs.tolist()
            self.p.fill_(adapt(float(self.p), total / count, target=self.target, share=count / self.images))
            self.signs.zero_()
