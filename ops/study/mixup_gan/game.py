"""The game of a generator and a discriminator that learns from mixed points.

mixup's GAN (Zhang et al., ICLR 2018) minimises over d the loss l(d(λ x + (1 - λ) g(z)), λ). The published code
(github.com/hongyi-zhang/mixup, gan/example_gan.py), which this follows, mixes two shuffled batches that are real and
generated in equal parts, with a weight of its own for each pair, drawn from Uniform(0, a): so real points are also
mixed with real ones. a = 0 is the plain discriminator, on one such batch. The generator always maximises the loss of
unmixed points. It does not know what the points are a mixture of, or how they are measured.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

LAYERS = 3  # hidden ones of both networks
BATCH = 128  # real points of a batch, and as many generated ones
DISCRIMINATOR_STEPS = 5  # for each step of the generator

Draw = Callable[[int, torch.Generator], Tensor]


@dataclass(frozen=True)
class Game:
    """steps: of the generator. mixing: a, the upper end of the weights' distribution. latent: size of z."""

    steps: int
    mixing: float
    latent: int
    width: int
    seed: int


def build_perceptron(inputs: int, width: int, outputs: int) -> nn.Sequential:
    """Hidden layers of one width with ReLU, and a linear output."""
    layers: list[nn.Module] = []
    for before, after in pairwise([inputs] + [width] * LAYERS):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(width, outputs))


def play(game: Game, draw: Draw, *, device: str = "cpu") -> nn.Sequential:
    """The generator, z [n, latent] to points [n, 2], after the last step; the same game gives the same weights.

    draw: real points, float32 [n, 2]. Games that differ only in `mixing` start from the same weights.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(game.seed)
        d = build_perceptron(2, game.width, 1).to(device)
        g = build_perceptron(game.latent, game.width, 2).to(device)
    random = torch.Generator().manual_seed(game.seed)
    optimizers = {network: torch.optim.Adam(network.parameters(), fused=True) for network in (d, g)}

    def generate() -> Tensor:
        return g(draw_latent(game, BATCH, random).to(device))

    def draw_batch() -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            return shuffle_together(draw(BATCH, random).to(device), generate(), random)

    for _ in range(game.steps):
        for _ in range(DISCRIMINATOR_STEPS):
            x, y = draw_batch()
            if game.mixing:
                λ = game.mixing * torch.rand(len(x), 1, generator=random).to(device)
                x, y = mix(λ, (x, y), draw_batch())
            _descend(optimizers[d], binary_cross_entropy_with_logits(d(x), y))
        d.requires_grad_(False)
        judged = d(generate())
        _descend(optimizers[g], -binary_cross_entropy_with_logits(judged, torch.zeros_like(judged)))
        d.requires_grad_(True)
    return g


def draw_latent(game: Game, number: int, random: torch.Generator) -> Tensor:
    """z, standard normal, float32 [number, latent]."""
    return torch.randn(number, game.latent, generator=random)


def shuffle_together(real: Tensor, generated: Tensor, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """All points in a random order, and whether each is real, float32 [n, 1]."""
    points = torch.cat([real, generated])
    is_real = torch.zeros(len(points), 1, device=points.device)
    is_real[: len(real)] = 1
    order = torch.randperm(len(points), generator=random).to(points.device)
    return points[order], is_real[order]


def mix(λ: Tensor, one: tuple[Tensor, Tensor], other: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """λ · one + (1 - λ) · other, of points and labels alike. λ: float [n, 1]."""
    (x1, y1), (x2, y2) = one, other
    return λ * x1 + (1 - λ) * x2, λ * y1 + (1 - λ) * y2


def _descend(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
