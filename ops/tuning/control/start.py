"""Where the controller's races begin: a strength from the number of images, an N from the generated images' quality.

AdaInf's sweep (Wang et al. 2024) found that the best smallest crop grows with the logarithm of the number of images,
and N = 10 at every quality that was tried. Neither was measured for other images or fewer steps, so a start is one of
several settings that race. Quality moves it: generated images that are told from real ones count as fewer images and
weigh less. How much they do is this program's choice and stands in no paper. Pure arithmetic.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ops.recipe.strength import find_strength

# Smallest crop that was best for so many images: SimCLR on CIFAR-10, half of it, and with generated images beside it.
BEST_CROPS = ((25_000, 0.02), (50_000, 0.08), (150_000, 0.20), (1_050_000, 0.30))
USUAL_WEIGHT = 10.0  # AdaInf's N, at FIDs from 2 to 19
WEAK = 0.5  # AdaInf's strength, which is always tried on real images alone
STEP = 10**0.5  # from one N to the next
NEAR = 0.1  # strengths that lie nearer are one
LEAST_QUALITY = 0.05  # a worse generator gets no larger N: what it is worth is left to the race


@dataclass(frozen=True)
class Quality:
    """How good generated images are as a set.

    accuracy : of a classifier that tells them from as many real ones, in 0..1, None without enough images; variation :
    a lower bound of the total variation between both, from it. frechet : Fréchet distance from held-out real images,
    and reference : that of as many training images, both None where they were not measured.
    """

    accuracy: float | None = None
    variation: float = 0.0
    frechet: float | None = None
    reference: float | None = None

    @property
    def worth(self) -> float:
        """Of a generated image, in real ones, for the start: 0.05 to 1.

        The least of 1 - the bound, at most so much of what is drawn is as real images are, and the Fréchet distance of
        real images over that of generated ones.
        """
        shares = [1.0 - self.variation]
        if self.frechet is not None and self.reference is not None and self.frechet > 0:
            shares.append(self.reference / self.frechet)
        return min(1.0, max(LEAST_QUALITY, min(shares)))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {key: None if value is None else round(value, 6) for key, value in asdict(self).items()}


@dataclass(frozen=True)
class Start:
    """images : real ones, and generated ones as they count. crop : the best smallest crop of so many images. strength :
    that has it. real_weight : N, None on real images alone."""

    images: float
    crop: float
    strength: float
    real_weight: float | None = None


def find_crop(images: float) -> float:
    """The smallest crop of AdaInf's sweep for so many images, linear in their logarithm between its four points.

    >>> [round(find_crop(count), 3) for count in (1_000, 25_000, 50_000, 86_603, 10_000_000)]
    [0.02, 0.02, 0.08, 0.14, 0.3]
    """
    if images <= 0:
        raise ValueError(f"a training set has some images, not {images:g}")
    counts, crops = zip(*BEST_CROPS, strict=True)
    return float(np.interp(math.log(images), np.log(counts), crops))


def find_start(real: int, generated: int = 0, quality: Quality | None = None) -> Start:
    """The start for so many real and generated images."""
    if generated == 0:
        return Start(float(real), crop := find_crop(real), find_strength(crop))
    worth = (quality or Quality()).worth
    images = real + worth * generated
    crop = find_crop(images)
    return Start(images, crop, find_strength(crop), USUAL_WEIGHT / math.sqrt(worth))


@dataclass(frozen=True)
class Choice:
    """A setting that races: None where the arm says it itself. N is None on real images alone."""

    strength: float | None = None
    real_weight: float | None = None

    @property
    def name(self) -> str:
        """`strength 0.5, N 10`."""
        parts = [("strength", self.strength), ("N", self.real_weight)]
        return ", ".join(f"{key} {value:.3g}" for key, value in parts if value is not None)


def list_strengths(start: float, count: int) -> list[float]:
    """`count` strengths from the start on: AdaInf's weaker one, or the standard where that is the start, then others.

    >>> list_strengths(1.0, 4), list_strengths(0.5, 2)
    ([1.0, 0.5, 0.75, 0.25], [0.5, 1.0])
    """
    found = [round(start, 3)]
    others = sorted((0.0, 0.25, 0.75, 1.0), key=lambda each: (abs(each - start), -each))
    for each in (WEAK, 1.0 if abs(start - WEAK) < NEAR else WEAK, *others):
        if all(abs(each - other) >= NEAR for other in found):
            found.append(each)
    return found[:count]


def list_real(start: Start, count: int) -> list[Choice]:
    """What races on real images alone: "no generated data" at the start, and "weak augmentation" among the others."""
    return [Choice(strength) for strength in list_strengths(start.strength, count)]


def list_inflated(start: Start, count: int, *, strength: bool, real_weight: bool) -> list[Choice]:
    """What races with generated images, `count` settings of what the controller chooses: the strength, N, or both.

    Where it chooses both, more weight for generated images goes with weaker augmentation, as in AdaInf: the more they
    count, the more images there are. count: 2 or 4.
    """
    if not real_weight:
        return list_real(start, count)
    assert start.real_weight is not None, "generated images have a quality"
    weight = start.real_weight
    if not strength:
        return [Choice(None, _round(weight * factor)) for factor in (1.0, STEP, 1 / STEP, 1 / STEP**2)][:count]
    strong, weak = round(start.strength, 3), round(start.strength / 2, 3)
    pairs = ((strong, weight), (weak, weight), (strong, weight * STEP), (weak, weight / STEP))
    return [Choice(each, _round(own)) for each, own in pairs][:count]


def _round(weight: float) -> float:
    return float(f"{weight:.3g}")
