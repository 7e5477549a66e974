"""The networks of kind `dcgan`: Radford et al. 2016, for images of any size and number of channels, told of classes.

The maker is told by numbers beside its latent (Mirza & Osindero 2014), which act from the first step on, and by
conditional batch norm. The critic is told by a projection, D(x, y) = ψ(φ(x)) + <v_y, φ(x)> (Miyato & Koyama 2018,
"cGANs with projection discriminator", eq. 4), and its kernels have spectral norm (Miyato et al. 2018). This module
knows no losses.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ops.generators.adversarial.pair import Maker, Pair
from ops.generators.adversarial.spectral import FIRST_ITERATIONS, SpectralKernel, advance
from ops.generators.dcgan.layers import ClassNorm, PartNorm
from ops.generators.dcgan.sizes import KERNEL, Sizes, plan_sizes
from ops.recipe.dcgan import DcganSettings

LEAK = 0.2  # of the critic's LeakyReLU
SPREAD = 0.02  # standard deviation of untrained kernels
SETTLED = 50  # images that norms are measured on at a time


class DcganMaker(Maker):
    """A latent becomes a small map, whose sides double until an image can be cropped from it."""

    def __init__(self, channels: int, height: int, width: int, *, classes: int, latent: int, sizes: Sizes) -> None:
        super().__init__()
        self.latent, self.height, self.width, self.sizes = latent, height, width, sizes
        rows, columns = sizes.first
        self.code = nn.Embedding(classes, latent)
        self.first = nn.Linear(2 * latent, sizes.made[0] * rows * columns, bias=False)
        self.norms = nn.ModuleList(ClassNorm(classes, size) for size in sizes.made)
        self.rising = nn.ModuleList(_double(a, b, bias=False) for a, b in itertools.pairwise(sizes.made))
        self.last = _double(sizes.made[-1], channels, bias=True)

    def forward(self, z: Tensor, label: Tensor) -> Tensor:
        x = self._begin(z, label)
        for norm, rise in zip(self.norms, [*self.rising, self.last], strict=True):
            x = rise(F.relu(norm(x, label)))
        return torch.tanh(x.float())[..., : self.height, : self.width]

    def settle(self, z: Tensor, label: Tensor) -> None:
        """Measure the norms one after another, each on what the ones before it give with their own statistics.

        Parts of the sample are computed anew for each norm, so that the maps of SETTLED images are held at a time.
        """
        assert not self.training
        parts = list(zip(z.split(SETTLED), label.split(SETTLED), strict=True))
        for level, norm in enumerate(self.norms):
            assert isinstance(norm, ClassNorm)
            norm.measure(self._rise(*part, level) for part in parts)

    def _rise(self, z: Tensor, label: Tensor, level: int) -> Tensor:
        """The map before the norm of a level."""
        x = self._begin(z, label)
        for norm, rise in zip(self.norms[:level], self.rising[:level], strict=True):
            x = rise(F.relu(norm(x, label)))
        return x

    def _begin(self, z: Tensor, label: Tensor) -> Tensor:
        x: Tensor = self.first(torch.cat([z, self.code(label)], dim=1))
        return x.view(-1, self.sizes.made[0], *self.sizes.first)  # len(z) would fix the batch of an export


class DcganCritic(nn.Module):
    """Scores of images with their labels: high for those that it takes for real."""

    def __init__(self, channels: int, *, classes: int, sizes: Sizes, spectral: bool) -> None:
        super().__init__()
        conv: type[nn.Conv2d] = SpectralKernel if spectral else nn.Conv2d
        ends = [channels, *sizes.judged]
        self.falling = nn.ModuleList(conv(a, b, KERNEL, 2, 1) for a, b in itertools.pairwise(ends))
        # Of no norm, as published, are the image and what is scored.
        plain = [nn.Identity()] if spectral else [nn.Identity(), *map(PartNorm, sizes.judged[1:])]
        self.norms = nn.ModuleList(plain * len(sizes.judged) if spectral else plain)
        self.features = conv(ends[-1], ends[-1], sizes.last)
        self.score = conv(ends[-1], 1, 1)
        self.classes = conv(ends[-1], classes, 1, bias=False)

    def forward(self, x: Tensor, label: Tensor) -> Tensor:
        """float32 [n]."""
        for fall, norm in zip(self.falling, self.norms, strict=True):
            x = F.leaky_relu(norm(fall(x)), LEAK)
        x = F.leaky_relu(self.features(x), LEAK)
        classes = self.classes
        kernel = classes.find_kernel() if isinstance(classes, SpectralKernel) else classes.weight
        known = (kernel.flatten(1)[label] * x.flatten(1).float()).sum(dim=1)
        score: Tensor = self.score(x).flatten().float()
        return score + known


def build_maker(config: Mapping[str, Any]) -> DcganMaker:
    """The maker that a generator's config.json describes, newly initialised."""
    shape = config["channels"], config["height"], config["width"]
    sizes = plan_sizes(*shape[1:], config["base"])
    maker = DcganMaker(*shape, classes=max(1, len(config["class_names"])), latent=config["latent"], sizes=sizes)
    _initialise(maker)
    return maker


def build_pair(config: Mapping[str, Any], settings: DcganSettings) -> Pair:
    """Maker and critic, newly initialised."""
    sizes = plan_sizes(config["height"], config["width"], config["base"])
    classes = max(1, len(config["class_names"]))
    critic = DcganCritic(config["channels"], classes=classes, sizes=sizes, spectral=settings.spectral_norm)
    _initialise(critic)
    advance(critic, FIRST_ITERATIONS)
    return Pair(build_maker(config), critic)


def _double(before: int, after: int, *, bias: bool) -> nn.ConvTranspose2d:
    """Doubles the sides; the kernel is a multiple of the stride, so that all places get equally many terms."""
    return nn.ConvTranspose2d(before, after, KERNEL, 2, 1, bias=bias)


def _initialise(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
            nn.init.normal_(module.weight, std=SPREAD)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
