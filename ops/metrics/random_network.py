"""Features of images by a small convolutional network with random weights: an unbiased second opinion.

Metrics in the scorer's features favour images that the scorer itself selects. A network with random weights is free of
that bias, needs no download and has seen no test image. Such networks rank generators much as trained ones do, and
complement them (Lee et al. 2022, arXiv 2208.09218; Naeem et al. 2020 also use one). It compares sets; it does not
distinguish classes. This module knows nothing of metrics or of the images' origin.

The network has three stages of convolution and ReLU, each halving the resolution. The first two are averaged over the
whole image and respond to texture, that is to noise and blur. The third is averaged over four quarters of the image and
responds to shapes and their positions. Filters have mean 0, because otherwise all features would mostly measure
brightness. Features are not normalised, because that would hide contrast. On Fashion-MNIST distances rise with every
step of blur, noise, lost classes, repeats, darkness and shift, and networks of other seeds rank these alike. Noise
below about 10 of 255 grey levels does not change the distances.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

SEED = 2208_09218
WIDTHS = (24, 40, 16)
SIDES = (5, 3, 3)  # of the filters
QUARTERS = 2  # a side
FEATURES = WIDTHS[0] + WIDTHS[1] + WIDTHS[2] * QUARTERS**2
MIN_SIDE = 8
BATCH = 250
MAX_INTEGER = 127
GAIN = 4.0  # scales features to about 1, where a cubic kernel is not nearly linear


def make_filters(channels: int, seed: int = SEED) -> list[Tensor]:
    """Float32 filters [outputs, inputs, side, side] of the three stages, for images of so many channels.

    They are computed from integers by operations whose rounding IEEE 754 defines, so their bytes are equal on every
    machine. They are scaled so that activations keep the size of their inputs (He et al. 2015).
    """
    filters = []
    inputs = channels
    for stage, (outputs, side) in enumerate(zip(WIDTHS, SIDES, strict=True)):
        rng = np.random.default_rng([seed, channels, stage])
        size = inputs * side * side
        drawn = rng.integers(-MAX_INTEGER, MAX_INTEGER, (outputs, size), endpoint=True)
        centred = size * drawn - drawn.sum(axis=1, keepdims=True)
        squares = np.square(centred).sum(axis=1, keepdims=True)
        weights = (centred * np.sqrt(2 / squares)).astype(np.float32)
        if stage == 0:
            weights *= np.float32(GAIN)
        filters.append(torch.from_numpy(weights.reshape(outputs, inputs, side, side)))
        inputs = outputs
    return filters


def apply_filters(x: Tensor, filters: Sequence[Tensor]) -> list[Tensor]:
    """The maps of each stage, of images float [n, C, H, W] in -1..1; gradients pass through."""
    # Repeat the border, because padding with 0 would add an edge to every image.
    x = F.pad(x, (SIDES[0] // 2,) * 4, mode="replicate")
    stages = []
    for stage, weight in enumerate(filters):
        x = F.relu(F.conv2d(x, weight, stride=2, padding=SIDES[stage] // 2 if stage else 0))
        stages.append(x)
    return stages


def embed_images(images: Tensor) -> np.ndarray:
    """Features float32 [n, 128] of uint8 images [n, C, H, W], computed in float32 on every machine.

    The features of an image may differ in their last digits with its place in a batch. ValueError for another type or
    shape, or for fewer than 8 pixels a side.
    """
    if images.dtype != torch.uint8 or images.ndim != 4 or min(images.shape[2:]) < MIN_SIDE or not images.shape[1]:
        raise ValueError(
            f"images are {images.dtype} {list(images.shape)}; allowed: uint8 [n, C, H, W], C at least 1,"
            f" H and W at least {MIN_SIDE}"
        )
    filters = [weight.contiguous(memory_format=torch.channels_last) for weight in make_filters(images.shape[1])]
    parts = []
    with torch.inference_mode():
        for batch in images.split(BATCH):
            x = batch.float().div_(127.5).sub_(1).contiguous(memory_format=torch.channels_last)
            stages = apply_filters(x, filters)
            quarters = F.adaptive_avg_pool2d(stages[2], QUARTERS).flatten(1)
            parts.append(torch.cat([stages[0].mean(dim=(2, 3)), stages[1].mean(dim=(2, 3)), quarters], dim=1))
    return torch.cat(parts).numpy() if parts else np.empty((0, FEATURES), np.float32)
