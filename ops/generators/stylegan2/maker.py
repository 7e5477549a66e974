"""The generator of StyleGAN2: styles and noise to images, with skip connections (Karras et al. 2020a, fig. 7b).

A coarse grid of learnt numbers is convolved and doubled. Each grid adds its own colours to the image of the coarser
ones. Images are float [n, C, H, W] in about -1..1 here.

Everything random comes from the one noise input, which has the image's shape, as for every kind. z is its first
numbers. Each layer's plane of noise is a rearrangement of all of them, fixed by the sizes: standard normal, with other
neighbours in each layer. So a sampler is a function of (noise, label) alone, in training as in an exported graph.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ops.generators.adversarial.pair import Maker
from ops.generators.stylegan2.grids import plan_grids
from ops.generators.stylegan2.layers import ModulatedConv, activate, double
from ops.generators.stylegan2.mapping import StyleMapping

GOLDEN = (math.sqrt(5) - 1) / 2  # multiples of it are spread evenly in 0..1


class StyledLayer(nn.Module):
    """A modulated convolution, noise with a learnt strength, a bias and a LeakyReLU."""

    places: Tensor

    def __init__(self, inputs: int, outputs: int, *, style: int, places: Tensor, doubling: bool = False) -> None:
        super().__init__()
        self.conv = ModulatedConv(inputs, outputs, 3, style=style, doubling=doubling)
        self.strength = nn.Parameter(torch.zeros(()))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.register_buffer("places", places, persistent=False)

    def forward(self, x: Tensor, w: Tensor, noise: Tensor) -> Tensor:
        """[n, outputs, h, w] of x, styles [n, style] and noise [n, numbers]."""
        x = self.conv(x, w)
        plane = noise[:, self.places].reshape(-1, 1, *x.shape[2:])
        return activate(x + self.strength * plane + self.bias[:, None, None])


class Colours(nn.Module):
    """Features to colours, by a modulated convolution of one pixel that is not demodulated."""

    def __init__(self, inputs: int, channels: int, *, style: int) -> None:
        super().__init__()
        self.conv = ModulatedConv(inputs, channels, 1, style=style, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """float32 [n, channels, h, w]."""
        return (self.conv(x, w) + self.bias[:, None, None]).float()


class StyleMaker(Maker):
    """Mapping and synthesis. An image is drawn from all numbers of its noise.

    Parameters
    ----------
    channels, height, width : of the images. base : channels of the finest grid.
    style : numbers of z and of a style w. layers : of the mapping. classes : 1 or more.
    """

    def __init__(
        self, channels: int, height: int, width: int, *, base: int, style: int, layers: int, classes: int
    ) -> None:
        super().__init__()
        self.height, self.width, self.latent = height, width, channels * height * width
        grids = plan_grids(height, width, base)
        self.mapping = StyleMapping(style, layers, classes)
        self.start = nn.Parameter(torch.randn(1, grids.widths[0], *grids.sides[0]))
        self.layers, self.colours = nn.ModuleList(), nn.ModuleList()
        before = grids.widths[0]
        for level, (sides, after) in enumerate(zip(grids.sides, grids.widths, strict=True)):
            for doubling in (True, False) if level else (False,):
                places = rearrange(self.latent, math.prod(sides), len(self.layers))
                self.layers.append(StyledLayer(before, after, style=style, places=places, doubling=doubling))
                before = after
            self.colours.append(Colours(after, channels, style=style))

    def forward(self, z: Tensor, label: Tensor, truncation: float = 1.0) -> Tensor:
        """float32 [n, C, H, W] of the numbers z [n, C · H · W] and labels int64 [n], with truncation ψ (1: none)."""
        w = self.mapping(z, label)
        return self.synthesise(w if truncation == 1.0 else self.mapping.truncate(w, label, truncation), z)

    def draw(self, z: Tensor, label: Tensor, truncation: float | None) -> Tensor:
        return self.forward(z, label, 1.0 if truncation is None else truncation)

    def synthesise(self, w: Tensor, z: Tensor) -> Tensor:
        """float32 [n, C, H, W] of styles [n, style] and of the numbers z, which the planes of noise take."""
        layers = iter(self.layers)
        x = next(layers)(self.start.expand(w.shape[0], -1, -1, -1), w, z)
        image: Tensor = self.colours[0](x, w)
        for colours in list(self.colours)[1:]:
            x = next(layers)(x, w, z)
            x = next(layers)(x, w, z)
            image = double(image) + colours(x, w)
        return image[..., : self.height, : self.width]

    def settle(self, z: Tensor, label: Tensor) -> None:
        """Find the mean style of each class, which truncation moves towards."""
        self.mapping.find_centres(z)


def rearrange(numbers: int, places: int, layer: int) -> Tensor:
    """Which of `numbers` each place takes, int64 [places]: steps of a length that is the layer's own.

    A length that has no divisor in common with `numbers` takes each of them before any again.
    """
    length = max(1, round(numbers * ((layer + 1) * GOLDEN % 1)))
    while math.gcd(length, numbers) != 1:
        length += 1
    return torch.arange(places) * length % numbers


def build_maker(config: Mapping[str, Any]) -> StyleMaker:
    """The maker that a generator's config.json describes, newly initialised."""
    shape = config["channels"], config["height"], config["width"]
    sizes = {key: config[key] for key in ("base", "style", "layers")}
    return StyleMaker(*shape, **sizes, classes=max(1, len(config["class_names"])))
