"""A small conditional diffusion model of features: the cheapest generator, since a feature has some tens of numbers.

It is a rectified flow (Liu et al. 2023). Feature x and noise z are joined by a line, x_t = (1 - t)·z + t·x, and the
network learns the velocity x - z for a class. LDMLR (Han et al. 2024) uses a DDPM in its place; the flow needs fewer
steps. Features are standardised before. It does not know what a feature is made of.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

WIDTH, BATCH, RATE = 256, 256, 1e-3
MOMENTS = 20  # Heun steps from noise to features
FREQUENCIES = 16  # of the embedding of t


class FeatureFlow(nn.Module):
    """Velocity float32 [n, d] from x_t [n, d], t [n] in 0..1 and labels int64 [n]."""

    def __init__(self, size: int, classes: int) -> None:
        super().__init__()
        self.classes = nn.Embedding(classes, WIDTH)
        self.moments = nn.Linear(2 * FREQUENCIES, WIDTH)
        self.first = nn.Linear(size, WIDTH)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, WIDTH), nn.SiLU(), nn.Linear(WIDTH, WIDTH))
            for _ in range(3)
        )
        self.last = nn.Linear(WIDTH, size)

    def forward(self, x: Tensor, t: Tensor, labels: Tensor) -> Tensor:
        phases = t[:, None] * torch.pi * torch.arange(1, FREQUENCIES + 1)
        known = self.classes(labels) + self.moments(torch.cat([phases.sin(), phases.cos()], dim=1))
        hidden = self.first(x) + known
        for block in self.blocks:
            hidden = hidden + block(hidden + known)
        velocity: Tensor = self.last(hidden)
        return velocity


def draw_features(
    features: Tensor, labels: Tensor, weights: np.ndarray, wanted: Tensor, *, steps: int, seed: int
) -> tuple[Tensor, Tensor]:
    """Fit a flow to features float32 [n, d] of labels int64 [n], and draw wanted[c] more of each class c.

    Returns features [m, d] and labels [m]. All classes are shown equally often, so that rare ones borrow from common
    ones through the shared layers, and within a class features in proportion to `weights` float64 [n]. The global
    generators of torch stay as they are.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        mean, scale = features.mean(dim=0), features.std(dim=0, correction=0).clamp(min=1e-6)
        flow = _fit((features - mean) / scale, labels, torch.from_numpy(weights), len(wanted), steps)
        drawn = torch.repeat_interleave(torch.arange(len(wanted)), wanted)
        return _integrate(flow, torch.randn(len(drawn), features.shape[1]), drawn) * scale + mean, drawn


def _fit(features: Tensor, labels: Tensor, weights: Tensor, classes: int, steps: int) -> FeatureFlow:
    flow = FeatureFlow(features.shape[1], classes)
    optimizer = torch.optim.AdamW(flow.parameters(), lr=RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    shares = weights / torch.bincount(labels, weights=weights, minlength=classes)[labels]
    for _ in range(steps):
        rows = torch.multinomial(shares, BATCH, replacement=True)
        x, z, t = features[rows], torch.randn(BATCH, features.shape[1]), torch.rand(BATCH)
        x_t = torch.lerp(z, x, t[:, None])
        loss = F.mse_loss(flow(x_t, t, labels[rows]), x - z)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return flow.eval()


@torch.no_grad()
def _integrate(flow: FeatureFlow, x: Tensor, labels: Tensor) -> Tensor:
    """Heun's method from t = 0 to t = 1."""
    h = 1.0 / MOMENTS
    for k in range(MOMENTS):
        t = torch.full((len(x),), k * h)
        v = flow(x, t, labels)
        x = x + h * (v + flow(x + h * v, t + h, labels)) / 2
    return x
