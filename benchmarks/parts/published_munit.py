"""MUNIT for one set of images as it was published: two autoencoders, two critics, Adam; a plain loop in fp32.

Written from the papers' description (Huang et al. 2018, appendix B.2; Zhou et al. 2022, whose two domains are one set),
with torch's own layers and no part of Growset's generator. Images stay in memory, the critics' fakes are made without a
graph, and mirroring is left out, in favour of this side. Images are float [n, C, H, W] in -1..1. The module does not
know what it is compared with.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WIDTH, STYLE, HIDDEN = 64, 8, 256
BLOCKS, HALVINGS, DEEP_HALVINGS = 4, 2, 4  # of content; of style and critic
RATE, BETAS, DECAY = 1e-4, (0.5, 0.999), 1e-4  # Adam's; the decay is added to the gradient
HALVED_EVERY = 100_000  # steps
RECONSTRUCTION = 10.0  # weight; all other terms have 1
EPSILON = 1e-5


def reflecting(before: int, after: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    """A convolution with a bias, padded by reflection."""
    return nn.Conv2d(before, after, kernel, stride, (kernel - 1) // 2, padding_mode="reflect")


class LayerNorm(nn.Module):
    """One mean and one unbiased deviation of each sample, then a gain and a shift for each channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gain, self.shift = nn.Parameter(torch.empty(channels).uniform_()), nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        flat = x.flatten(1)
        mean, deviation = flat.mean(1).view(-1, 1, 1, 1), flat.std(1).view(-1, 1, 1, 1)
        return (x - mean) / (deviation + EPSILON) * self.gain.view(1, -1, 1, 1) + self.shift.view(1, -1, 1, 1)


class Block(nn.Module):
    """A residual block with instance norms; `affine` [n, 4, C], if given, is shift and gain of the first, then of the
    second."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = reflecting(channels, channels, 3), reflecting(channels, channels, 3)

    def forward(self, x: Tensor, affine: Tensor | None = None) -> Tensor:
        y = F.instance_norm(self.first(x), eps=EPSILON)
        if affine is not None:
            y = affine[:, 1, :, None, None] * y + affine[:, 0, :, None, None]
        y = F.instance_norm(self.second(F.relu(y)), eps=EPSILON)
        if affine is not None:
            y = affine[:, 3, :, None, None] * y + affine[:, 2, :, None, None]
        return x + y


class Autoencoder(nn.Module):
    """Content encoder, style encoder, style to affine, and decoder."""

    def __init__(self, channels: int, width: int, blocks: int) -> None:
        super().__init__()
        inner = width * 2**HALVINGS
        down = [reflecting(width * 2**i, width * 2 ** (i + 1), 4, 2) for i in range(HALVINGS)]
        self.down = nn.ModuleList([reflecting(channels, width, 7), *down])
        self.encoding = nn.ModuleList(Block(inner) for _ in range(blocks))
        sizes = [width * 2 ** min(i, HALVINGS) for i in range(DEEP_HALVINGS + 1)]
        self.style_layers = nn.ModuleList([reflecting(channels, width, 7)])
        self.style_layers.extend(reflecting(a, b, 4, 2) for a, b in pairwise(sizes))
        self.to_style = nn.Conv2d(inner, STYLE, 1)
        self.mlp = nn.Sequential(
            nn.Linear(STYLE, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU(),
            nn.Linear(HIDDEN, blocks * 4 * inner),
        )  # fmt: skip
        self.decoding = nn.ModuleList(Block(inner) for _ in range(blocks))
        rising = [inner // 2**i for i in range(HALVINGS + 1)]
        self.up = nn.ModuleList(reflecting(a, b, 5) for a, b in pairwise(rising))
        self.norms = nn.ModuleList(LayerNorm(size) for size in rising[1:])
        self.last = reflecting(width, channels, 7)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(module.weight)
                assert module.bias is not None
                nn.init.zeros_(module.bias)

    def find_content(self, x: Tensor) -> Tensor:
        """[n, 4 · width, H / 4, W / 4]."""
        for layer in self.down:
            x = F.relu(F.instance_norm(layer(x), eps=EPSILON))
        for block in self.encoding:
            x = block(x)
        return x

    def find_style(self, x: Tensor) -> Tensor:
        """[n, STYLE]."""
        for layer in self.style_layers:
            x = F.relu(layer(x))
        style: Tensor = self.to_style(x.mean((2, 3), keepdim=True))
        return style.flatten(1)

    def decode(self, content: Tensor, style: Tensor) -> Tensor:
        """Images of contents in styles."""
        affine = self.mlp(style).view(len(style), len(self.decoding), 4, -1)
        x = content
        for number, block in enumerate(self.decoding):
            x = block(x, affine[:, number])
        for layer, norm in zip(self.up, self.norms, strict=True):
            x = F.relu(norm(layer(F.interpolate(x, scale_factor=2))))
        return torch.tanh(self.last(x))


def build_critic(channels: int, width: int) -> nn.Sequential:
    """Scores [n, 1, h, w] of images at one scale."""
    sizes = [channels, *(width * 2**i for i in range(DEEP_HALVINGS))]
    layers: list[nn.Module] = []
    for before, after in pairwise(sizes):
        layers += [reflecting(before, after, 4, 2), nn.LeakyReLU(0.2)]
    critic = nn.Sequential(*layers, nn.Conv2d(sizes[-1], 1, 1))
    for module in critic:
        if isinstance(module, nn.Conv2d):
            nn.init.normal_(module.weight, std=0.02)
            assert module.bias is not None
            nn.init.zeros_(module.bias)
    return critic


class PublishedMunit(nn.Module):
    """Autoencoders a and b, and a critic of each one's images."""

    def __init__(self, channels: int, *, width: int = WIDTH, blocks: int = BLOCKS) -> None:
        super().__init__()
        self.a, self.b = (Autoencoder(channels, width, blocks) for _ in range(2))
        self.critic_a, self.critic_b = (build_critic(channels, width) for _ in range(2))

    def find_critics_loss(self, x_a: Tensor, x_b: Tensor, s_a: Tensor, s_b: Tensor) -> Tensor:
        """LSGAN's, of images x and styles s [n, STYLE] of each domain."""
        with torch.no_grad():
            x_ba, x_ab = self.a.decode(self.b.find_content(x_b), s_a), self.b.decode(self.a.find_content(x_a), s_b)
        return (
            self.critic_a(x_ba).square().mean() + (self.critic_a(x_a) - 1).square().mean()
            + self.critic_b(x_ab).square().mean() + (self.critic_b(x_b) - 1).square().mean()
        )  # fmt: skip

    def find_makers_loss(self, x_a: Tensor, x_b: Tensor, s_a: Tensor, s_b: Tensor) -> Tensor:
        """Adversary, reconstruction of images, of contents and of styles; the contents found first have gradients."""
        c_a, c_b = self.a.find_content(x_a), self.b.find_content(x_b)
        again_a, again_b = self.a.decode(c_a, self.a.find_style(x_a)), self.b.decode(c_b, self.b.find_style(x_b))
        x_ba, x_ab = self.a.decode(c_b, s_a), self.b.decode(c_a, s_b)
        return (
            (self.critic_a(x_ba) - 1).square().mean() + (self.critic_b(x_ab) - 1).square().mean()
            + RECONSTRUCTION * (F.l1_loss(again_a, x_a) + F.l1_loss(again_b, x_b))
            + F.l1_loss(self.a.find_content(x_ba), c_b) + F.l1_loss(self.b.find_content(x_ab), c_a)
            + F.l1_loss(self.a.find_style(x_ba), s_a) + F.l1_loss(self.b.find_style(x_ab), s_b)
        )  # fmt: skip


def train_published(model: PublishedMunit, images: Tensor, labels: Tensor, *, batch_size: int) -> Callable[[], None]:
    """A function that takes one further step of critics and makers.

    images : uint8 [n, C, H, W]. labels : int64 [n]; both batches of a step draw all classes equally often.
    """
    model.train()
    resident = images.float() / 127.5 - 1
    chances = 1.0 / torch.bincount(labels)[labels]
    sides = [
        (find_loss, torch.optim.Adam(parameters, lr=RATE, betas=BETAS, weight_decay=DECAY))
        for find_loss, parameters in (
            (model.find_critics_loss, [*model.critic_a.parameters(), *model.critic_b.parameters()]),
            (model.find_makers_loss, [*model.a.parameters(), *model.b.parameters()]),
        )
    ]
    schedules = [torch.optim.lr_scheduler.StepLR(optimizer, HALVED_EVERY, 0.5) for _, optimizer in sides]

    def go_on() -> None:
        x_a, x_b = (resident[torch.multinomial(chances, batch_size, replacement=True)] for _ in range(2))
        for find_loss, optimizer in sides:
            loss = find_loss(x_a, x_b, *torch.randn(2, batch_size, STYLE))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        for schedule in schedules:
            schedule.step()

    return go_on
