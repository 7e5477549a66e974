"""Images that show nothing, made from real ones: what a generator must be better than, and a filter must reject.

They need no model. The module knows no score and no threshold.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter
from torch import Tensor

EMPTY = 64  # images of each sort, for the filters
BLUR = 7  # the standard deviation of a heavy blur is this part of a side
NOISE = 40.0  # grey levels
PIECES = 4  # a side, of shuffled images


def make_empty(images: Tensor, random: torch.Generator) -> list[Tensor]:
    """Images without a picture, uint8 [EMPTY, C, H, W] each: noise, smooth blobs, blurs in noise."""
    shape = (EMPTY, *images.shape[1:])
    height, width = shape[2:]
    noise = 128 + 64 * torch.randn(shape, generator=random)
    coarse = 128 + 64 * torch.randn((*shape[:2], 4, 4), generator=random)
    blobs = F.interpolate(coarse, (height, width), mode="bicubic")
    some = images[torch.randint(len(images), (EMPTY,), generator=random)].numpy().astype(np.float32)
    blurred = torch.from_numpy(gaussian_filter(some, (0, 0, height / BLUR, width / BLUR), mode="nearest"))
    return [to_levels(noise), to_levels(blobs), add_noise(blurred, NOISE, random)]


def make_floor(images: Tensor, labels: np.ndarray, count: int, random: torch.Generator) -> dict[str, Tensor]:
    """What a generator that has learnt only colours, averages or texture could draw, uint8 [count, C, H, W] by name.

    images: real ones, uint8 [n, C, H, W], with labels int [n]. Brightness and contrast of the noise are those of the
    real images, because these are learnt first.
    """
    levels = images.float()
    mean, sd = levels.mean(dim=(0, 2, 3), keepdim=True), levels.std(dim=(0, 2, 3), keepdim=True)
    height, width = images.shape[2:]
    rows = torch.randint(len(images), (count,), generator=random)
    chosen = torch.from_numpy(np.array(labels))
    means = torch.stack([levels[chosen == label].mean(dim=0) for label in chosen[rows]])
    blurred = torch.from_numpy(
        gaussian_filter(levels[rows].numpy(), (0, 0, height / BLUR, width / BLUR), mode="nearest")
    )
    noise = torch.randn((count, *images.shape[1:]), generator=random)
    coarse = torch.randn((count, images.shape[1], 4, 4), generator=random)
    return {
        "noise": to_levels(mean + sd * noise),
        "blobs": to_levels(mean + sd * F.interpolate(coarse, (height, width), mode="bicubic")),
        "blurred real images": to_levels(blurred),
        "blurred real images in noise": add_noise(blurred, NOISE, random),
        "class means": to_levels(means),
        "class means in noise": add_noise(means, NOISE, random),
        "shuffled pieces of real images": shuffle_pieces(images[rows], random),
    }


def shuffle_pieces(images: Tensor, random: torch.Generator) -> Tensor:
    """Images [n, C, H, W] cut into PIECES x PIECES rectangles that change places; what does not divide stays."""
    high, wide = (size // PIECES for size in images.shape[2:])
    shuffled = images.clone()
    for image, new in zip(images, shuffled, strict=True):
        for place, piece in enumerate(torch.randperm(PIECES**2, generator=random).tolist()):
            (row, column), (top, left) = divmod(place, PIECES), divmod(piece, PIECES)
            new[:, row * high : (row + 1) * high, column * wide : (column + 1) * wide] = image[
                :, top * high : (top + 1) * high, left * wide : (left + 1) * wide
            ]
    return shuffled


def add_noise(levels: Tensor, sd: float, random: torch.Generator) -> Tensor:
    """uint8 images with Gaussian noise of `sd` grey levels."""
    return to_levels(levels + sd * torch.randn(levels.shape, generator=random))


def to_levels(values: Tensor) -> Tensor:
    """uint8 of grey levels, rounded and clipped."""
    return values.round().clamp(0, 255).to(torch.uint8)
