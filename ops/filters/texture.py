"""Texture features of a picture: sharpness, edges and agreement of colours, as a few numbers that need no training.

Noise, blobs, blurred pictures and pictures with scrambled phases differ from real ones in these numbers, even where a
classifier is weak. Brightness and contrast of the whole picture are removed first. Gradients of natural pictures are
sparse and agree over scales (Simoncelli and Olshausen 2001, "Natural image statistics and neural representation"),
which a spectrum alone does not show. It knows nothing of classes or thresholds.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

CONTRAST_FLOOR = 1.0  # grey levels, added to the contrast as squares, so that flat pictures are not amplified
EPSILON = 1e-3  # added to powers (the picture's is 1), so that an empty band has a finite logarithm
BATCH = 256


def describe_texture(images: Tensor) -> np.ndarray:
    """Features float32 [n, t] of uint8 images [n, C, H, W]; each row depends on its own image only.

    For every octave down to 4 pixels a side (of small pictures the finest one, from 4 pixels a side): its power, its
    kurtosis (how rarely it is strong), the agreement of its gradients' directions, the share of places without
    gradients, and the correlation of its strength with the next octave's. With several channels also: the share of the
    picture's power, and of its finest octave's, along the first principal colour, and the picture's along the last one.
    """
    if not len(images):
        return _describe(images.new_zeros(1, *images.shape[1:]))[:0].numpy()
    return torch.cat([_describe(part) for part in images.split(BATCH)]).numpy()


def _describe(images: Tensor) -> Tensor:
    levels = images.float()
    levels = levels - levels.mean(dim=(2, 3), keepdim=True)
    levels = levels / (levels.square().mean(dim=(1, 2, 3), keepdim=True) + CONTRAST_FLOOR**2).sqrt()
    # Split into octaves (a Laplacian pyramid).
    bands: list[Tensor] = []
    slopes: list[Tensor] = []
    rest = levels
    while min(rest.shape[2:]) >= 8 or (not bands and min(rest.shape[2:]) >= 4):
        coarse = F.avg_pool2d(rest, 2, ceil_mode=True)
        drawn = F.interpolate(coarse, size=rest.shape[2:], mode="bilinear", align_corners=False)
        bands.append(rest - drawn)
        slopes.append(rest)
        rest = coarse
    # Power, kurtosis and gradients of each octave.
    numbers = [_log(rest.square().mean(dim=(1, 2, 3)))]
    strengths = []
    for band, level in zip(bands, slopes, strict=True):
        power = band.square().mean(dim=(1, 2, 3))
        strengths.append(band.square().mean(dim=1, keepdim=True).add(EPSILON).sqrt())
        fourth = band.pow(4).mean(dim=(1, 2, 3))
        numbers += [_log(power), _log(fourth / (power + EPSILON).square()), *_measure_coherence(level)]
    # Correlation of neighbouring octaves, then colours.
    for fine, coarse in pairwise(strengths):
        numbers.append(_correlate(F.adaptive_avg_pool2d(fine, (coarse.shape[2], coarse.shape[3])), coarse))
    if images.shape[1] > 1:
        largest, least = _mix_colours(levels)
        numbers += [largest, least]
        if bands:
            numbers.append(_mix_colours(bands[0])[0])
    return torch.stack(numbers, dim=1)


def _measure_coherence(level: Tensor) -> list[Tensor]:
    """The coherence of gradients within 4 x 4 places, [n] in 0..1, and the share of places without gradients.

    Coherence is (l1 - l2) / (l1 + l2) of the eigenvalues of the structure tensor [[a, c], [c, b]], summed over places.
    """
    down = (level[:, :, 1:, :-1] - level[:, :, :-1, :-1]) + (level[:, :, 1:, 1:] - level[:, :, :-1, 1:])
    right = (level[:, :, :-1, 1:] - level[:, :, :-1, :-1]) + (level[:, :, 1:, 1:] - level[:, :, 1:, :-1])
    tensor = torch.stack([(down * down).mean(1), (right * right).mean(1), (down * right).mean(1)], dim=1)
    quiet = ((tensor[:, 0] + tensor[:, 1]).sqrt() < 0.1).float().mean(dim=(1, 2))
    a, b, c = F.avg_pool2d(tensor, 4, stride=2, ceil_mode=True, padding=1).unbind(1)
    apart = ((a - b).square() + 4 * c * c).sqrt().sum(dim=(1, 2))
    return [apart / ((a + b).sum(dim=(1, 2)) + EPSILON), quiet]


def _correlate(one: Tensor, other: Tensor) -> Tensor:
    one, other = (part - part.mean(dim=(1, 2, 3), keepdim=True) for part in (one, other))
    scale = one.square().sum(dim=(1, 2, 3)) * other.square().sum(dim=(1, 2, 3))
    return (one * other).sum(dim=(1, 2, 3)) / (scale + EPSILON**2).sqrt()


def _mix_colours(part: Tensor) -> tuple[Tensor, Tensor]:
    """Shares [n] of the power of [n, C, h, w] along the first and along the last principal colour."""
    flat = part.flatten(2)
    power = flat @ flat.transpose(1, 2) / flat.shape[2]
    along = torch.linalg.eigvalsh(power) / (power.diagonal(dim1=1, dim2=2).sum(1) + EPSILON)[:, None]
    return along[:, -1], along[:, 0]


def _log(values: Tensor) -> Tensor:
    return (values + EPSILON).log()
