"""Prepare images for a pretrained network as `preprocessing` does, so that gradients pass back to the images.

A scorer that guides must see a variant as its network was made to see it, and say how each of its levels matters.
Levels are rounded to the 256 that would be stored, and resized as Pillow resizes (`precompute_coeffs` and
`normalize_coeffs_8bpc` in its Resample.c): two passes whose weights are whole multiples of 2^-22, each result rounded
to a level. So for an image that is stored the numbers are those of the library's processor, up to float rounding.
Rounding has no slope: the gradient passes it as if it were not there (straight-through, Bengio et al. 2013), and is 0
where a level lies outside of the range. The order is columns, then rows, as in `preprocessing`.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

from ops.pretrained.preprocessing import Preprocessing, crop_middle

LEVELS = 255
BITS = 22  # of the fraction of a weight
SUPPORT = {"bilinear": 1.0, "bicubic": 2.0}  # pixels on either side that have a weight, without reduction
BICUBIC = -0.5  # the parameter a of Keys 1981

Channels = tuple[float, ...] | None  # a number for each channel of an image, or for all


def prepare(
    images: Tensor,
    preprocessing: Preprocessing,
    mean: Channels = None,
    deviation: Channels = None,
) -> Tensor:
    """float32 [n, 3, h, w] of images float [n, C, H, W] in 0..1, C of 1 (grey becomes RGB) or 3; differentiable.

    `mean` and `deviation`, of levels in 0..1 and of one channel or all, take the place of those of `preprocessing`.
    ValueError for another shape.
    """
    if images.ndim != 4 or images.shape[1] not in (1, 3) or not images.is_floating_point():
        raise ValueError(f"images are {images.dtype} {list(images.shape)}; allowed: float [n, 1 or 3, H, W]")
    height, width = images.shape[2:]
    x = _round_levels(LEVELS * images.double())
    size = preprocessing.find_resized(height, width)
    if size[1] != width:
        x = _round_levels(x @ weigh(width, size[1], preprocessing.mode).to(x.device).T)
    if size[0] != height:
        x = _round_levels(weigh(height, size[0], preprocessing.mode).to(x.device) @ x)
    if preprocessing.crop is not None:
        x = crop_middle(x, preprocessing.crop)
    scale = preprocessing.scale if mean is None else 1 / LEVELS
    mean, deviation = mean or preprocessing.mean, deviation or preprocessing.std
    centre, spread = (x.new_tensor(values).view(1, -1, 1, 1) for values in (mean, deviation))
    return ((x * scale).expand(-1, 3, -1, -1) - centre).div(spread).float()


@lru_cache(maxsize=32)
def weigh(length: int, wanted: int, mode: str) -> Tensor:
    """The weights float64 [wanted, length] with which Pillow resizes a row of `length` levels."""
    scale = length / wanted
    reduction = max(scale, 1.0)
    support, weights = SUPPORT[mode] * reduction, torch.zeros(wanted, length, dtype=torch.float64)
    for place in range(wanted):
        centre = (place + 0.5) * scale
        first, last = max(0, int(centre - support + 0.5)), min(length, int(centre + support + 0.5))
        found = [_weigh_distance((i - centre + 0.5) / reduction, mode) for i in range(first, last)]
        total = sum(found)
        whole = [math.trunc(each / total * 2**BITS + math.copysign(0.5, each)) for each in found]
        weights[place, first:last] = torch.tensor(whole, dtype=torch.float64) / 2**BITS
    return weights


def _weigh_distance(distance: float, mode: str) -> float:
    x = abs(distance)
    if mode == "bilinear":
        return max(0.0, 1 - x)
    if x < 1:
        return ((BICUBIC + 2) * x - (BICUBIC + 3)) * x * x + 1
    return (((x - 5) * x + 8) * x - 4) * BICUBIC if x < 2 else 0.0


def _round_levels(x: Tensor) -> Tensor:
    """The nearest level in 0..255, with the gradient of a clamp."""
    clamped = x.clamp(0, LEVELS)
    return (clamped.detach() + 0.5).floor() + (clamped - clamped.detach())
