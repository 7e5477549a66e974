"""Texture features of a picture: sharpness, edges and agreement of colours, as a few numbers that need no training.

Noise, blobs, blurred pictures and pictures with scrambled phases differ from real ones in these numbers, however
little a classifier knows. They follow from contrasts alone: brightness and contrast of the whole picture are taken
out first. Natural pictures' gradients are sparse and agree over scales (Simoncelli and Olshausen 2001, "Natural image
statistics and neural representation"), which a spectrum alone does not see. It knows nothing of classes or thresholds.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

FLAT = 1.0  # grey levels, added to the contrast (as squares), so that flat pictures are not amplified
LEAST = 1e-3  # added to powers (the picture's is 1), so that an empty band has a finite logarithm
BATCH = 256


def describe_texture(images: Tensor) -> np.ndarray:
    """Features float32 [n, t] of uint8 images [n, C, H, W]; each row depends on its own image only.

    For every octave down to 4 pixels a side (of smaller pictures for the finest, if they have 4 pixels a side): its
    power, how rarely it is strong (kurtosis), how far its strength follows the next octave's, how far its gradients
    agree in direction; beside these the share of places where hardly anything changes. Of several colours: how much one
    mixture of them explains of the picture and of its finest detail, and how much only all of them together explain.
    """
    if not len(images):
        return _describe(images.new_zeros(1, *images.shape[1:]))[:0].numpy()
    return torch.cat([_describe(part) for part in images.split(BATCH)]).numpy()


def _describe(images: Tensor) -> Tensor:
    levels = images.float()
    levels = levels - levels.mean(dim=(2, 3), keepdim=True)
    levels = levels / (levels.square().mean(dim=(1, 2, 3), keepdim=True) + FLAT**2).sqrt()
    bands: list[Tensor] = []
    slopes: list[Tensor] = []
    rest = levels
    while min(rest.shape[2:]) >= 8 or (not bands and min(rest.shape[2:]) >= 4):
        coarse = F.avg_pool2d(rest, 2, ceil_mode=True)
        drawn = F.interpolate(coarse, size=rest.shape[2:], mode="bilinear", align_corners=False)
        bands.append(rest - drawn)
        slopes.append(rest)
        rest = coarse
    numbers = [_log(rest.square().mean(dim=(1, 2, 3)))]
    strengths = []
    for band, level in zip(bands, slopes, strict=True):
        power = band.square().mean(dim=(1, 2, 3))
        strengths.append(band.square().mean(dim=1, keepdim=True).add(LEAST).sqrt())
        fourth = band.pow(4).mean(dim=(1, 2, 3))
        numbers += [_log(power), _log(fourth / (power + LEAST).square()), *_agree(level)]
    for fine, coarse in pairwise(strengths):
        numbers.append(_correlate(F.adaptive_avg_pool2d(fine, (coarse.shape[2], coarse.shape[3])), coarse))
    if images.shape[1] > 1:
        largest, least = _mix_colours(levels)
        numbers += [largest, least]
        if bands:
            numbers.append(_mix_colours(bands[0])[0])
    return torch.stack(numbers, dim=1)


def _agree(level: Tensor) -> list[Tensor]:
    """How far gradients agree in direction within 4 x 4 places, [n] in 0..1, and the share of places without any."""
    down = (level[:, :, 1:, :-1] - level[:, :, :-1, :-1]) + (level[:, :, 1:, 1:] - level[:, :, :-1, 1:])
    right = (level[:, :, :-1, 1:] - level[:, :, :-1, :-1]) + (level[:, :, 1:, 1:] - level[:, :, 1:, :-1])
    tensor = torch.stack([(down * down).mean(1), (right * right).mean(1), (down * right).mean(1)], dim=1)
    quiet = ((tensor[:, 0] + tensor[:, 1]).sqrt() < 0.1).float().mean(dim=(1, 2))
    a, b, c = F.avg_pool2d(tensor, 4, stride=2, ceil_mode=True, padding=1).unbind(1)
    apart = ((a - b).square() + 4 * c * c).sqrt().sum(dim=(1, 2))
    return [apart / ((a + b).sum(dim=(1, 2)) + LEAST), quiet]


def _correlate(one: Tensor, other: Tensor) -> Tensor:
    one, other = (part - part.mean(dim=(1, 2, 3), keepdim=True) for part in (one, other))
    scale = one.square().sum(dim=(1, 2, 3)) * other.square().sum(dim=(1, 2, 3))
    return (one * other).sum(dim=(1, 2, 3)) / (scale + LEAST**2).sqrt()


def _mix_colours(part: Tensor) -> tuple[Tensor, Tensor]:
    """Shares [n] of the power of [n, C, h, w] along the first and along the last principal colour, of C."""
    flat = part.flatten(2)
    power = flat @ flat.transpose(1, 2) / flat.shape[2]
    along = torch.linalg.eigvalsh(power) / (power.diagonal(dim1=1, dim2=2).sum(1) + LEAST)[:, None]
    return along[:, -1], along[:, 0]


def _log(values: Tensor) -> Tensor:
    return (values + LEAST).log()
