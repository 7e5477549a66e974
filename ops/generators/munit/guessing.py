"""Guess the cost of MUNIT from how many products its networks compute; nothing is timed or built.

A multiplication and an addition count as two products. It loads nothing that computes.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from ops.generators.munit.depths import plan_depths
from ops.generators.protocol import Cost
from ops.recipe.munit import MunitSettings

# A step computes the products forwards and twice backwards; norms, optimizers and copies come on top, and bf16, where
# there is, is faster than the rate says.
PASSES, REST, STEP_SECONDS = 3, 0.8, 0.02


@dataclass(frozen=True)
class Products:
    """Products of each network for one image: Eᶜ, Eˢ, G, D."""

    encode: float
    style_of: float
    decode: float
    judge: float

    def count_step(self, cycle: bool) -> float:
        """Of a step of critic and maker, for one image and branch; a derivative costs two evaluations."""
        critics = self.encode + self.decode + 2 * PASSES * self.judge
        makers = 2 * self.encode + 2 * self.style_of + (3 if cycle else 2) * self.decode + self.judge
        return critics + PASSES * makers


def guess_munit(settings: MunitSettings, shape: tuple[int, int, int], rate: float, workers: int) -> Cost:
    """The cost for images (channels, height, width), at `rate` products a second on each of `workers` cores."""
    products = count_products(settings, shape)
    images = settings.branches * settings.batch_size
    per_step = STEP_SECONDS + REST * images * products.count_step(settings.cycle > 0) / (rate * workers)
    return Cost(per_step * settings.steps, per_step, (products.encode + products.decode) / rate)


def count_products(settings: MunitSettings, shape: tuple[int, int, int]) -> Products:
    """For images of `shape` (channels, height, width)."""
    channels, height, width = shape
    depths, w = plan_depths(height, width, settings.halvings), settings.width
    multiple = 2**depths.content
    places = (height + -height % multiple) * (width + -width % multiple)
    inner, small = w * multiple, places // multiple**2

    def convolve(places: float, kernel: int, before: int, after: int) -> float:
        return 2.0 * places * kernel**2 * before * after

    def halve(sizes: list[int]) -> float:
        """4x4 convolutions with stride 2, from the image's own resolution."""
        return sum(
            convolve(height * width / 4 ** (i + 1), 4, before, after)
            for i, (before, after) in enumerate(itertools.pairwise(sizes))
        )

    blocks = settings.blocks * 2 * convolve(small, 3, inner, inner)
    ends = convolve(places, 7, channels, w)  # the first convolution, and the last one of the decoder
    down = sum(convolve(places / 4 ** (i + 1), 4, w * 2**i, w * 2 ** (i + 1)) for i in range(depths.content))
    up = sum(convolve(places / 4**i, 5, w * 2 ** (i + 1), w * 2**i) for i in range(depths.content))
    affine = 2.0 * (settings.style * 256 + 256**2 + 256 * 4 * settings.blocks * inner)
    styles = convolve(height * width, 7, channels, w) + halve([w * 2 ** min(i, 2) for i in range(depths.style + 1)])
    return Products(
        ends + down + blocks,
        styles,
        affine + blocks + up + ends,
        halve([channels, *(w * 2**i for i in range(depths.style))]),
    )
