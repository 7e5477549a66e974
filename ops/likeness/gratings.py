"""Constant matrices for comparing pictures of one size: waves, windows, poses, shifts and blur.

Each is computed once for a size and cached. Frequencies are in cycles per picture, shifts in pixels; f is the number of
frequencies. A picture is compared in several poses, turned and scaled about its centre, without turning its pixels: the
spectrum of a turned picture is the picture's own spectrum against waves turned the other way. It knows no image.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

SHIFT_DIVISOR = 8  # shifts of up to an eighth of the shorter side are searched: 3 pixels of 28
BLUR_DIVISOR = 14  # a binomial blur reaches a fourteenth of the shorter side: 5 taps at 28
MAX_CYCLES = 8  # the highest frequency, in cycles per picture; lower where a side is too short for it


@dataclass(frozen=True)
class Pose:
    """A picture turned by `angle` degrees and enlarged `scale` times, about its centre."""

    angle: float = 0.0
    scale: float = 1.0

    @property
    def mirrored(self) -> Pose:
        """The pose in which the mirror image is the mirror image of the picture in this pose."""
        return Pose(-self.angle, self.scale)

    def to_matrix(self) -> Tensor:
        """[2, 2] of (down, right): maps a point of the posed picture to a point of the picture, from the centre."""
        turn = math.radians(self.angle)
        rows = [[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]]
        return torch.tensor(rows) / self.scale


# Registration corrects what lies between two poses.
POSES = (Pose(), *(Pose(angle) for angle in (-12.0, -6.0, 6.0, 12.0)), Pose(scale=0.9), Pose(scale=1.1))
MIRRORED = tuple(POSES.index(pose.mirrored) for pose in POSES)


def find_blur_reach(height: int, width: int) -> int:
    """Pixels that the blur reaches to each side."""
    return min(height, width) // BLUR_DIVISOR


@lru_cache(maxsize=16)
def make_blur(size: int, reach: int) -> Tensor:
    """The matrix [size, size] that blurs a line; the end pixels are repeated beyond the ends."""
    places = (torch.arange(size)[:, None] + torch.arange(-reach, reach + 1)).clamp(0, size - 1)
    return torch.zeros(size, size).scatter_add_(1, places, make_taps(reach).expand(size, -1))


@lru_cache(maxsize=16)
def make_taps(reach: int) -> Tensor:
    """The blur's weights [2 reach + 1] along a line."""
    return torch.tensor([math.comb(2 * reach, k) / 4**reach for k in range(2 * reach + 1)])


@lru_cache(maxsize=16)
def list_frequencies(height: int, width: int) -> tuple[tuple[int, int], ...]:
    """(down, right) in cycles per picture, one of each opposite pair; also (0, 0), in which colours differ."""
    most = min(MAX_CYCLES, (height - 1) // 2), min(MAX_CYCLES, (width - 1) // 2)
    return tuple(
        (u, v)
        for u in range(-most[0], most[0] + 1)
        for v in range(most[1] + 1)
        if (v or u >= 0) and u * u + v * v <= MAX_CYCLES**2
    )


@lru_cache(maxsize=16)
def make_waves(height: int, width: int) -> Tensor:
    """[h * w, 2 f]: pixels times this give their spectrum. Phases are measured from the picture's centre."""
    return _wave(*_pose_grid(height, width, Pose()), height, width)


@lru_cache(maxsize=16)
def find_partners(height: int, width: int) -> tuple[Tensor, Tensor]:
    """The mirror image's spectrum as a permutation of the picture's, int64 [f], and which are conjugated, bool [f]."""
    frequencies = list_frequencies(height, width)
    place = {frequency: i for i, frequency in enumerate(frequencies)}
    moved = [place[(-u, v) if v else (u, v)] for u, v in frequencies]
    return torch.tensor(moved), torch.tensor([v > 0 for _, v in frequencies])


@lru_cache(maxsize=16)
def make_fold(height: int, width: int) -> tuple[Tensor, int]:
    """An orthogonal matrix [f, f] for magnitudes and e, the number of even coordinates, which come first.

    Magnitudes times the matrix are equal for picture and mirror image in the first e coordinates and opposite in the
    others: mirroring swaps pairs of frequencies, and the coordinates are each pair's sum and difference.
    """
    partner, unit = find_partners(height, width)[0], torch.eye(len(list_frequencies(height, width)))
    place = torch.arange(len(partner))
    one, other = unit[place < partner], unit[partner[place < partner]]
    half = math.sqrt(0.5)
    even = torch.cat([unit[place == partner], half * (one + other)])
    return torch.cat([even, half * (one - other)]).T, len(even)


@lru_cache(maxsize=16)
def list_offsets(height: int, width: int) -> tuple[tuple[int, int], ...]:
    """Every shift (down, right) in pixels, in the order of their numbers."""
    most = min(height, width) // SHIFT_DIVISOR
    return tuple((down, right) for down in range(-most, most + 1) for right in range(-most, most + 1))


@lru_cache(maxsize=16)
def measure_offsets(height: int, width: int) -> Tensor:
    """[shifts]: the squared length of each shift, in units of the farthest shift straight down or right."""
    most = max(1, min(height, width) // SHIFT_DIVISOR)
    return (torch.tensor(list_offsets(height, width), dtype=torch.float32) / most).square().sum(1)


@lru_cache(maxsize=16)
def make_shift_phases(height: int, width: int) -> Tensor:
    """[2 f, shifts]: a query's spectrum times a reference's conjugate times this is their correlation at each shift."""
    shifts = torch.tensor(list_offsets(height, width), dtype=torch.float32)
    cycles = torch.tensor(list_frequencies(height, width)) / torch.tensor([height, width])
    angles = 2 * math.pi * cycles @ shifts.T
    return torch.stack([angles.cos(), -angles.sin()], dim=1).flatten(0, 1) * make_weights(height, width)[:, None]


@lru_cache(maxsize=16)
def make_weights(height: int, width: int) -> Tensor:
    """[2 f]: weight of each product of spectra. Each frequency counts twice (conjugate pair), except (0, 0)."""
    counts = [1 + (frequency != (0, 0)) for frequency in list_frequencies(height, width)]
    return torch.tensor(counts).repeat_interleave(2) / (height * width)


@lru_cache(maxsize=16)
def mark_centre(height: int, width: int) -> Tensor:
    """1 for the pixels [h, w] that stay in the picture at every shift, 0 elsewhere."""
    most = min(height, width) // SHIFT_DIVISOR
    inside = torch.zeros(height, width)
    inside[most : height - most, most : width - most] = 1
    return inside


@lru_cache(maxsize=16)
def make_centres(height: int, width: int) -> Tensor:
    """[h * w, shifts]: pixels times this give the mean over the centre after each shift."""
    inside = mark_centre(height, width)
    moved = [torch.roll(inside, (-down, -right), (0, 1)).flatten() for down, right in list_offsets(height, width)]
    return torch.stack(moved, dim=1) / inside.sum()


@lru_cache(maxsize=16)
def measure_radii(height: int, width: int) -> Tensor:
    """[f]: the length of each frequency, in cycles per picture."""
    return torch.tensor(list_frequencies(height, width), dtype=torch.float32).norm(dim=1)


@lru_cache(maxsize=16)
def list_windows(height: int, width: int) -> tuple[tuple[int, int, int], ...]:
    """(pose, down, right) of every window in which a query's signature is computed; first the picture as it is.

    Four moved windows stand for shifts; poses have a window in the middle. With each window the list holds its mirror
    image.
    """
    step = math.ceil(min(height, width) // SHIFT_DIVISOR / 2)
    moves = [(down, right) for down in (-step, step) for right in (-step, step) if step]
    return (0, 0, 0), *((0, *move) for move in moves), *((number, 0, 0) for number in range(1, len(POSES)))


@lru_cache(maxsize=16)
def make_windows(height: int, width: int) -> Tensor:
    """[h * w, windows * 2 f]: pixels times this give their spectra in each window, with the window's mean taken out.

    A window is half a sine wave across the centre.
    """
    most, made = min(height, width) // SHIFT_DIVISOR, []
    for number, down, right in list_windows(height, width):
        rows, columns = _pose_grid(height, width, POSES[number])
        window = _half_wave(rows - down, height - 2 * most) * _half_wave(columns - right, width - 2 * most)
        waves = _wave(rows, columns, height, width)
        made.append(window.flatten()[:, None] * (waves - window.flatten() @ waves / window.sum()))
    return torch.cat(made, dim=1)


@lru_cache(maxsize=16)
def make_posed_centres(height: int, width: int) -> tuple[Tensor, Tensor]:
    """The centre in every pose: a mask [h * w, poses] of 1 and 0, and its waves [h * w, poses * 2 f], 0 outside."""
    most, inside, waves = min(height, width) // SHIFT_DIVISOR, [], []
    for pose in POSES:
        rows, columns = _pose_grid(height, width, pose)
        within = (rows.abs() <= height / 2 - most) & (columns.abs() <= width / 2 - most)
        inside.append(within.flatten().float())
        waves.append(inside[-1][:, None] * _wave(rows, columns, height, width))
    return torch.stack(inside, dim=1), torch.cat(waves, dim=1)


def _pose_grid(height: int, width: int, pose: Pose) -> tuple[Tensor, Tensor]:
    """Places of the picture's pixels [h, w] in the posed picture, in pixels down and right of its centre."""
    down = torch.arange(height, dtype=torch.float32) - (height - 1) / 2
    right = torch.arange(width, dtype=torch.float32) - (width - 1) / 2
    places = torch.stack(torch.meshgrid(down, right, indexing="ij"))
    rows, columns = torch.einsum("ij,jhw->ihw", torch.linalg.inv(pose.to_matrix()), places)
    return rows, columns


def _wave(rows: Tensor, columns: Tensor, height: int, width: int) -> Tensor:
    """[h * w, 2 f]: cosines and minus sines of every frequency at places [h, w] around the centre."""
    cycles = torch.tensor(list_frequencies(height, width), dtype=torch.float32)
    down, right = rows.flatten()[:, None] / height, columns.flatten()[:, None] / width
    angles = 2 * math.pi * (down * cycles[:, 0] + right * cycles[:, 1])
    return torch.stack([angles.cos(), -angles.sin()], dim=2).flatten(1)


def _half_wave(places: Tensor, inner: int) -> Tensor:
    return torch.cos(math.pi * places / inner) * (places.abs() < inner / 2)
