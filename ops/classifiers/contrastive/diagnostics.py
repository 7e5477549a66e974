"""What a network has learnt, seen on the way: an online probe, and a vote of nearest neighbours.

Both are told labels that the network is not told. They are logged and decide nothing. The online probe is a linear
layer that learns beside the network, on features of its augmented views; what AdaInf's paper reports behaves like one.
The arm's own classifier is the offline probe, which learns when the network has learnt.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ONLINE, NEIGHBOURS = "online_probe", "nearest_neighbours"  # names of the figures
RATE, DECAY = 5e-3, 0.0  # of the online probe, which is small
NEAREST, TEMPERATURE = 20, 0.07  # neighbours that vote, and how their cosines count (Wu et al. 2018, §3.4)


class OnlineProbe:
    """A linear layer on features that are normalised by batch; it gives no gradient to them."""

    def __init__(self, features: int, classes: int, device: str) -> None:
        self.layers = nn.Sequential(nn.BatchNorm1d(features, affine=False), nn.Linear(features, classes)).to(device)
        self.optimizer = torch.optim.AdamW(self.layers.parameters(), RATE, weight_decay=DECAY)

    def learn(self, features: Tensor, labels: Tensor) -> None:
        """One step on features float [n, d] with labels int64 [n]; of fewer than two images nothing is learnt."""
        if len(labels) < 2:
            return
        loss = F.cross_entropy(self.layers(features.detach()), labels)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

    @torch.no_grad()
    def answer(self, features: Tensor) -> Tensor:
        """The likeliest class int64 [n] of features float [n, d]."""
        self.layers.eval()
        found: Tensor = self.layers(features).argmax(dim=1)
        self.layers.train()
        return found


def vote(known: Tensor, labels: Tensor, asked: Tensor, classes: int) -> Tensor:
    """The class int64 [m] for which the NEAREST known features vote, each by exp(cosine / TEMPERATURE).

    known : float [n, d] with labels int64 [n]. asked : float [m, d].
    """
    cosines = F.normalize(asked, dim=1) @ F.normalize(known, dim=1).T
    nearest, rows = cosines.topk(min(NEAREST, len(labels)), dim=1)
    votes = torch.zeros(len(asked), classes, dtype=torch.float64)
    votes.scatter_add_(1, labels[rows], (nearest.double() / TEMPERATURE).exp())
    return votes.argmax(dim=1)
