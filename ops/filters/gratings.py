"""What likeness needs of pictures of one size and never changes: waves, windows, shifts and blur, as matrices.

Made once for a size and kept. Frequencies are counted in cycles a picture, shifts in pixels; f is the number of
frequencies. It knows no image.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

SHIFTED = 8  # shifts of up to an eighth of the shorter side are undone: 3 pixels of 28
BLURRED = 14  # a binomial blur reaches a fourteenth of the shorter side: 5 taps at 28
CYCLES = 8  # the highest frequency of signatures, in cycles a picture, if the sides hold as many


def find_reach(height: int, width: int) -> int:
    return min(height, width) // BLURRED


@lru_cache(maxsize=16)
def make_blur(size: int, shrunk: int, reach: int) -> Tensor:
    """The matrix [shrunk, size] that averages a line down to `shrunk` pixels and blurs it; the ends repeat."""
    averaged = F.adaptive_avg_pool1d(torch.eye(size), shrunk).T
    taps = torch.tensor([math.comb(2 * reach, k) / 4**reach for k in range(2 * reach + 1)])
    places = (torch.arange(shrunk)[:, None] + torch.arange(-reach, reach + 1)).clamp(0, shrunk - 1)
    return torch.zeros(shrunk, shrunk).scatter_add_(1, places, taps.expand(shrunk, -1)) @ averaged


@lru_cache(maxsize=16)
def list_frequencies(height: int, width: int) -> tuple[tuple[int, int], ...]:
    """(down, right) in cycles a picture, one of each pair of opposite ones, (0, 0) among them: colours differ in it."""
    most = min(CYCLES, (height - 1) // 2), min(CYCLES, (width - 1) // 2)
    return tuple(
        (u, v)
        for u in range(-most[0], most[0] + 1)
        for v in range(most[1] + 1)
        if (v or u >= 0) and u * u + v * v <= CYCLES**2
    )


@lru_cache(maxsize=16)
def make_waves(height: int, width: int) -> Tensor:
    """[h * w, 2 f]: pixels times this are their spectrum. Angles are measured from the picture's centre."""
    down = (torch.arange(height) - (height - 1) / 2)[:, None] / height
    right = (torch.arange(width) - (width - 1) / 2) / width
    angles = [2 * math.pi * (u * down + v * right).flatten() for u, v in list_frequencies(height, width)]
    return torch.stack([wave for angle in angles for wave in (angle.cos(), -angle.sin())], dim=1)


@lru_cache(maxsize=16)
def find_partners(height: int, width: int) -> tuple[Tensor, Tensor]:
    """Which frequency stands in each one's place in the mirror image, int64 [f], and whether conjugated, bool [f]."""
    frequencies = list_frequencies(height, width)
    place = {frequency: i for i, frequency in enumerate(frequencies)}
    moved = [place[(-u, v) if v else (u, v)] for u, v in frequencies]
    return torch.tensor(moved), torch.tensor([v > 0 for _, v in frequencies])


@lru_cache(maxsize=16)
def list_offsets(height: int, width: int) -> tuple[tuple[int, int], ...]:
    """Every shift (down, right) in pixels, in the order of their numbers."""
    most = min(height, width) // SHIFTED
    return tuple((down, right) for down in range(-most, most + 1) for right in range(-most, most + 1))


@lru_cache(maxsize=16)
def make_turns(height: int, width: int) -> Tensor:
    """[2 f, shifts]: a query's spectrum times a reference's conjugate and this is their correlation at each shift."""
    shifts = torch.tensor(list_offsets(height, width), dtype=torch.float32)
    cycles = torch.tensor(list_frequencies(height, width)) / torch.tensor([height, width])
    angles = 2 * math.pi * cycles @ shifts.T
    return torch.stack([angles.cos(), -angles.sin()], dim=1).flatten(0, 1) * make_weights(height, width)[:, None]


@lru_cache(maxsize=16)
def make_weights(height: int, width: int) -> Tensor:
    """[2 f]: what a product of spectra counts; each stands for its opposite too, which (0, 0) has not."""
    counts = [1 + (frequency != (0, 0)) for frequency in list_frequencies(height, width)]
    return torch.tensor(counts).repeat_interleave(2) / (height * width)


@lru_cache(maxsize=16)
def mark_centre(height: int, width: int) -> Tensor:
    """1 in the pixels [h, w] that stay in the picture at every shift, 0 elsewhere."""
    most = min(height, width) // SHIFTED
    inside = torch.zeros(height, width)
    inside[most : height - most, most : width - most] = 1
    return inside


@lru_cache(maxsize=16)
def make_centres(height: int, width: int) -> Tensor:
    """[h * w, shifts]: pixels times this are the means over the centre of the picture moved by each shift."""
    inside = mark_centre(height, width)
    moved = [torch.roll(inside, (-down, -right), (0, 1)).flatten() for down, right in list_offsets(height, width)]
    return torch.stack(moved, dim=1) / inside.sum()


@lru_cache(maxsize=16)
def measure_radii(height: int, width: int) -> Tensor:
    return torch.tensor(list_frequencies(height, width), dtype=torch.float32).norm(dim=1)


@lru_cache(maxsize=16)
def make_windows(height: int, width: int) -> Tensor:
    """[h * w, windows * 2 f]: pixels times this are their spectra in each window, its mean taken out.

    A window is half a sine wave across the centre, first in its place, then moved four ways.
    """
    most = min(height, width) // SHIFTED
    step = math.ceil(most / 2)
    moves = [(0, 0)] + [(down, right) for down in (-step, step) for right in (-step, step) if step]
    waves, made = make_waves(height, width), []
    for down, right in moves:
        window = (_half_wave(height, most, down)[:, None] * _half_wave(width, most, right)).flatten()
        made.append(window[:, None] * (waves - window @ waves / window.sum()))
    return torch.cat(made, dim=1)


def _half_wave(size: int, margin: int, moved: int) -> Tensor:
    places, inner = torch.arange(size) + 0.5 - margin - moved, size - 2 * margin
    return torch.sin(math.pi * places / inner) * ((places > 0) & (places < inner))
