"""Variants as the exported graphs draw them: uint8 images and the chain's noise in, uint8 images out.

The noise has the image's shape, as for every kind, so that feeds, engines and pieces are the same for all. A style
takes its first numbers; those are independent (`ops.generators.noise` draws them in pairs that lie far apart).
"""

from __future__ import annotations

from torch import Tensor, nn

from ops.generators.levels import to_float, to_pixels
from ops.generators.munit.network import Makers


def take_style(noise: Tensor, style: int) -> Tensor:
    """z [n, style]: the first numbers of noise [n, C, H, W]."""
    return noise.flatten(1)[:, :style]


def draw_variants(makers: Makers, x: Tensor, noise: Tensor, strength: float | None) -> Tensor:
    """uint8 [n, H, W, C] of x float [n, C, H, W] and noise [n, C, H, W]."""
    return to_pixels(makers.vary(x, take_style(noise, makers.style), strength))


class Variation(nn.Module):
    """The whole sampler: image and noise to variant."""

    def __init__(self, makers: Makers, strength: float | None) -> None:
        super().__init__()
        self.makers, self.strength = makers, strength

    def forward(self, noise: Tensor, image: Tensor) -> Tensor:
        return draw_variants(self.makers, to_float(image), noise, self.strength)


class Encoding(nn.Module):
    """Its first half, which does not see the noise: image to content and, with a strength, its own style."""

    def __init__(self, makers: Makers, strength: float | None) -> None:
        super().__init__()
        self.makers, self.strength = makers, strength

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        x = to_float(image)
        content = self.makers.encode(x)
        return (content,) if self.strength is None else (content, self.makers[0].style_of(x))


class Decoding(nn.Module):
    """Its second half: content, own style (with a strength) and noise to variant."""

    def __init__(self, makers: Makers, strength: float | None) -> None:
        super().__init__()
        self.makers, self.strength = makers, strength

    def forward(self, noise: Tensor, content: Tensor, own: Tensor | None = None) -> Tensor:
        style = self.makers.mix(take_style(noise, self.makers.style), own, self.strength)
        return to_pixels(self.makers[0].decode(content, style))
