"""Features of images by a small convolutional network that nobody trained: an independent witness.

The scorer's features reward what the scorer itself selects. A network with random weights has no such interest, needs
no download and cannot have seen a test image; such networks rank generators much as trained ones do, and complement
them (Lee et al. 2022, arXiv 2208.09218; Naeem et al. 2020 use one too). It serves to compare sets, not to tell classes
apart. This module knows nothing of metrics or of who made the images.

Three stages of convolution and ReLU, each halving the resolution. The means of the first two over the whole image see
texture, so noise and blur; the third keeps four quarters of the image apart, so it sees shapes and where they are.
Filters have no mean, else all features would say mostly how bright the image is. No normalisation: it would hide
contrast. On Fashion-MNIST distances rise with every step of blur, noise, lost classes, repeats, darkness and shift,
and networks of other seeds rank these alike; noise below about 10 of 255 grey levels it does not see.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

SEED = 2208_09218
WIDTHS = (24, 40, 16)
SIDES = (5, 3, 3)  # of the filters
QUARTERS = 2  # a side
FEATURES = WIDTHS[0] + WIDTHS[1] + WIDTHS[2] * QUARTERS**2
LEAST_SIDE = 8
BATCH = 250
LEVELS = 127
GAIN = 4.0  # brings features near 1, where a cubic kernel is not a straight line


def make_filters(channels: int, seed: int = SEED) -> list[Tensor]:
    """Float32 filters [outputs, inputs, side, side] of the three stages, for images of so many channels.

    Made of integers and of operations that IEEE 754 rounds in one way only: equal to the byte on every machine.
    Scaled so that activations keep the size of their inputs (He et al. 2015).
    """
    filters = []
    inputs = channels
    for stage, (outputs, side) in enumerate(zip(WIDTHS, SIDES, strict=True)):
        rng = np.random.default_rng([seed, channels, stage])
        size = inputs * side * side
        drawn = rng.integers(-LEVELS, LEVELS, (outputs, size), endpoint=True)
        centred = size * drawn - drawn.sum(axis=1, keepdims=True)
        squares = np.square(centred).sum(axis=1, keepdims=True)
        weights = (centred * np.sqrt(2 / squares)).astype(np.float32)
        if stage == 0:
            weights *= np.float32(GAIN)
        filters.append(torch.from_numpy(weights.reshape(outputs, inputs, side, side)))
        inputs = outputs
    return filters


def embed_images(images: Tensor) -> np.ndarray:
    """Features float32 [n, 128] of uint8 images [n, C, H, W], computed in float32, whatever the machine likes better.

    Features of one image may differ in their last digits with its place in a batch. ValueError for other images, or
    for fewer than 8 pixels a side.
    """
    if images.dtype != torch.uint8 or images.ndim != 4 or min(images.shape[2:]) < LEAST_SIDE or not images.shape[1]:
        raise ValueError(
            f"images are {images.dtype} {list(images.shape)}; allowed: uint8 [n, C, H, W], C at least 1,"
            f" H and W at least {LEAST_SIDE}"
        )
    filters = [weight.contiguous(memory_format=torch.channels_last) for weight in make_filters(images.shape[1])]
    parts = []
    with torch.inference_mode():
        for batch in images.split(BATCH):
            x = batch.float().div_(127.5).sub_(1).contiguous(memory_format=torch.channels_last)
            # An edge where the image ends would be in every image: its own border goes on instead.
            x = F.pad(x, (SIDES[0] // 2,) * 4, mode="replicate")
            stages = []
            for stage, weight in enumerate(filters):
                x = F.relu_(F.conv2d(x, weight, stride=2, padding=SIDES[stage] // 2 if stage else 0))
                stages.append(x)
            quarters = F.adaptive_avg_pool2d(stages[2], QUARTERS).flatten(1)
            parts.append(torch.cat([stages[0].mean(dim=(2, 3)), stages[1].mean(dim=(2, 3)), quarters], dim=1))
    return torch.cat(parts).numpy() if parts else np.empty((0, FEATURES), np.float32)
