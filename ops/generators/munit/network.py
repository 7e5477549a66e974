"""The networks of MUNIT: an autoencoder of content and style, and the critic that it learns against.

Huang et al. 2018, appendix B.2, for images of any size, number of channels and width. Images are float [n, C, H, W] in
-1..1 here. This module knows no losses and no labels: the transform is the same for all classes.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ops.generators.adversarial.spectral import FIRST_ITERATIONS
from ops.generators.munit.depths import Depths, plan_depths
from ops.generators.munit.layers import LayerNorm, PaddedConv, SpectralConv, adapt, standardise
from ops.recipe.munit import MunitSettings

HIDDEN = 256  # of the two layers between style and AdaIN
LEAK = 0.2  # of the critic's LeakyReLU
CRITICS_SPREAD = 0.02  # standard deviation of its untrained kernels


class ResidualBlock(nn.Module):
    """x + norm(conv(ReLU(norm(conv(x))))), with instance norm or AdaIN."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = PaddedConv(channels, channels, 3), PaddedConv(channels, channels, 3)

    def forward(self, x: Tensor, affine: Tensor | None = None) -> Tensor:
        """`affine` float [n, 2, 2, C]: for both norms the shift, then the gain; None for instance norm."""
        if affine is None:
            return x + standardise(self.second(F.relu(standardise(self.first(x)))))
        between = F.relu(adapt(self.first(x), affine[:, 0, 1], affine[:, 0, 0]))
        return x + adapt(self.second(between), affine[:, 1, 1], affine[:, 1, 0])


class Maker(nn.Module):
    """Encoders of content and style, and the decoder that joins them.

    Parameters
    ----------
    channels, height, width : of the images; sides that are no multiple of 2^halvings are padded at the edge.
    base : channels of the first layer. blocks : residual blocks. style : numbers of a style.
    """

    def __init__(self, channels: int, height: int, width: int, *, base: int, blocks: int, style: int, depths: Depths):
        super().__init__()
        self.height, self.width = height, width
        multiple = 2**depths.content
        self.pad_height, self.pad_width = -height % multiple, -width % multiple
        inner = base * multiple
        # Content: 7x7, then 4x4 with stride 2, doubling the channels.
        self.content = nn.ModuleList([PaddedConv(channels, base, 7)])
        self.content.extend(PaddedConv(base * 2**i, base * 2 ** (i + 1), 4, 2) for i in range(depths.content))
        self.encoding = nn.ModuleList(ResidualBlock(inner) for _ in range(blocks))
        # Style: the same without norms, which would erase it, doubling twice.
        sizes = [base * 2 ** min(i, 2) for i in range(depths.style + 1)]
        self.places = nn.ModuleList([PaddedConv(channels, base, 7)])
        self.places.extend(PaddedConv(before, after, 4, 2) for before, after in itertools.pairwise(sizes))
        self.own = nn.Linear(sizes[-1], style)
        # The style's shifts and gains for the two norms of each block.
        self.affine = nn.ModuleList(
            [nn.Linear(style, HIDDEN), nn.Linear(HIDDEN, HIDDEN), nn.Linear(HIDDEN, 4 * blocks * inner)]
        )
        self.decoding = nn.ModuleList(ResidualBlock(inner) for _ in range(blocks))
        halves = [inner // 2**i for i in range(depths.content + 1)]
        self.rising = nn.ModuleList(PaddedConv(a, b, 5) for a, b in itertools.pairwise(halves))
        self.norms = nn.ModuleList(LayerNorm(size) for size in halves[1:])
        self.last = PaddedConv(base, channels, 7)

    def encode(self, x: Tensor) -> Tensor:
        """The content of images, float [n, base · 2^h, H / 2^h, W / 2^h]."""
        if self.pad_height or self.pad_width:
            x = F.pad(x, (0, self.pad_width, 0, self.pad_height), mode="replicate")
        for layer in self.content:
            x = F.relu(standardise(layer(x)))
        for block in self.encoding:
            x = block(x)
        return x

    def style_of(self, x: Tensor) -> Tensor:
        """The style of images, float [n, style]."""
        for layer in self.places:
            x = F.relu(layer(x))
        style: Tensor = self.own(x.mean(dim=(2, 3)))
        return style.float()

    def decode(self, content: Tensor, style: Tensor) -> Tensor:
        """Images in -1..1 of contents [n, ...] in styles [n, style]."""
        for layer in self.affine[:-1]:
            style = F.relu(layer(style))
        affine = self.affine[-1](style).view(-1, len(self.decoding), 2, 2, content.shape[1])
        x = content
        for number, block in enumerate(self.decoding):
            x = block(x, affine[:, number])
        for layer, norm in zip(self.rising, self.norms, strict=True):
            x = F.relu(norm(layer(F.interpolate(x, scale_factor=2.0, mode="nearest"))))
        image: Tensor = torch.tanh(self.last(x).float())
        return image[..., : self.height, : self.width]


class Critic(nn.Module):
    """Scores of images at one scale: high for those that it takes for real."""

    def __init__(self, channels: int, *, base: int, layers: int, spectral: bool) -> None:
        super().__init__()
        conv = SpectralConv if spectral else PaddedConv
        sizes = [channels, *(base * 2**i for i in range(layers))]
        self.layers = nn.ModuleList(conv(a, b, 4, 2) for a, b in itertools.pairwise(sizes))
        self.last = conv(sizes[-1], 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        """float [n, places]."""
        for layer in self.layers:
            x = F.leaky_relu(layer(x), LEAK)
        scores: Tensor = self.last(x)
        return scores.flatten(1).float()


class Makers(nn.Module):
    """The makers of all branches, and how a variant is drawn with them: all that a trained generator needs.

    style : numbers of a style.
    crossed : the first decoder varies the second encoder's content, as in the training of two branches.
    """

    def __init__(self, makers: list[Maker], *, style: int, crossed: bool = False) -> None:
        super().__init__()
        self.branches = nn.ModuleList(makers)
        self.style, self.crossed = style, crossed

    def __getitem__(self, branch: int) -> Maker:
        return cast(Maker, self.branches[branch])

    def __len__(self) -> int:
        return len(self.branches)

    def encode(self, x: Tensor) -> Tensor:
        """The content that is varied."""
        return self[-1 if self.crossed else 0].encode(x)

    def mix(self, z: Tensor, own: Tensor | None, strength: float | None) -> Tensor:
        """The style of a variant: z itself; with a strength t, sqrt(1 - t²) · own + t · z, which is as spread as z.

        The product stays where t is 0, so that an exported graph keeps its input.
        """
        if strength is None:
            return z
        assert own is not None
        return math.sqrt(1 - strength**2) * own + strength * z

    def vary(self, x: Tensor, z: Tensor, strength: float | None = None) -> Tensor:
        """Variants of images x in -1..1 [n, C, H, W], from z ~ N(0, I) [n, style]."""
        own = None if strength is None else self[0].style_of(x)
        return self[0].decode(self.encode(x), self.mix(z, own, strength))


class Munit(nn.Module):
    """Makers and critics, one of each for a branch."""

    def __init__(self, makers: Makers, critics: list[Critic]) -> None:
        super().__init__()
        self.makers, self.critics = makers, nn.ModuleList(critics)


def describe_munit(settings: MunitSettings) -> dict[str, Any]:
    """The entries of config.json that describe the makers."""
    keys = ("branches", "sampling", "width", "blocks", "style", "halvings")
    return {"base" if key == "width" else key: getattr(settings, key) for key in keys}


def build_makers(config: Mapping[str, Any]) -> Makers:
    """The makers that a generator's config.json describes, newly initialised."""
    depths = plan_depths(config["height"], config["width"], config["halvings"])
    shape = (config["channels"], config["height"], config["width"])
    makers = [
        Maker(*shape, base=config["base"], blocks=config["blocks"], style=config["style"], depths=depths)
        for _ in range(config["branches"])
    ]
    for module in (module for maker in makers for module in maker.modules()):
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_normal_(module.weight)
            assert module.bias is not None
            nn.init.zeros_(module.bias)
    return Makers(makers, style=config["style"], crossed=config["sampling"] == "crossed")


def build_munit(config: Mapping[str, Any], *, spectral_norm: bool = True) -> Munit:
    """Makers and critics, newly initialised."""
    layers = plan_depths(config["height"], config["width"]).style
    critics = [
        Critic(config["channels"], base=config["base"], layers=layers, spectral=spectral_norm)
        for _ in range(config["branches"])
    ]
    for critic in critics:
        for module in critic.modules():
            if isinstance(module, PaddedConv):
                nn.init.normal_(module.weight, std=CRITICS_SPREAD)
                assert module.bias is not None
                nn.init.zeros_(module.bias)
            if isinstance(module, SpectralConv):
                module.advance(FIRST_ITERATIONS)
    return Munit(build_makers(config), critics)
