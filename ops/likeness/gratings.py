"""Constant matrices for comparing pictures of one size: waves, windows, poses, shifts and blur.

Made once for a size and kept. Frequencies are counted in cycles a picture, shifts in pixels; f is the number of
frequencies. A picture is compared in several poses, turned and scaled about its centre. No picture is turned for that:
a turned picture's spectrum is that of the picture itself against waves turned the other way. It knows no image.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

SHIFTED = 8  # shifts of up to an eighth of the shorter side are undone: 3 pixels of 28
BLURRED = 14  # a binomial blur reaches a fourteenth of the shorter side: 5 taps at 28
CYCLES = 8  # the highest frequency of signatures, in cycles a picture, if the sides hold as many


@dataclass(frozen=True)
class Pose:
    """A picture turned by `angle` degrees and drawn `scale` times as large, about its centre."""

    angle: float = 0.0
    scale: float = 1.0

    @property
    def mirrored(self) -> Pose:
        """The pose in which the mirror image shows what the picture shows in this one, mirrored."""
        return Pose(-self.angle, self.scale)

    def to_matrix(self) -> Tensor:
        """[2, 2] of (down, right): where in the picture, from its centre, a point of the posed picture lies."""
        turn = math.radians(self.angle)
        rows = [[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]]
        return torch.tensor(rows) / self.scale


# What lies between two of them is undone when pairs are registered.
POSES = (Pose(), *(Pose(angle) for angle in (-12.0, -6.0, 6.0, 12.0)), Pose(scale=0.9), Pose(scale=1.1))
MIRRORED = tuple(POSES.index(pose.mirrored) for pose in POSES)


def find_reach(height: int, width: int) -> int:
    return min(height, width) // BLURRED


@lru_cache(maxsize=16)
def make_blur(size: int, reach: int) -> Tensor:
    """The matrix [size, size] that blurs a line; the ends repeat."""
    places = (torch.arange(size)[:, None] + torch.arange(-reach, reach + 1)).clamp(0, size - 1)
    return torch.zeros(size, size).scatter_add_(1, places, make_taps(reach).expand(size, -1))


@lru_cache(maxsize=16)
def make_taps(reach: int) -> Tensor:
    """The blur's weights [2 reach + 1] along a line."""
    return torch.tensor([math.comb(2 * reach, k) / 4**reach for k in range(2 * reach + 1)])


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
    return _wave(*_pose_grid(height, width, Pose()), height, width)


@lru_cache(maxsize=16)
def find_partners(height: int, width: int) -> tuple[Tensor, Tensor]:
    """Which frequency stands in each one's place in the mirror image, int64 [f], and whether conjugated, bool [f]."""
    frequencies = list_frequencies(height, width)
    place = {frequency: i for i, frequency in enumerate(frequencies)}
    moved = [place[(-u, v) if v else (u, v)] for u, v in frequencies]
    return torch.tensor(moved), torch.tensor([v > 0 for _, v in frequencies])


@lru_cache(maxsize=16)
def make_fold(height: int, width: int) -> tuple[Tensor, int]:
    """An orthogonal matrix [f, f] for magnitudes, and e: the mirror image's are these with all but the first e negated.

    Of two frequencies that the mirror image swaps these are the sum and the difference.
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
    most = min(height, width) // SHIFTED
    return tuple((down, right) for down in range(-most, most + 1) for right in range(-most, most + 1))


@lru_cache(maxsize=16)
def measure_offsets(height: int, width: int) -> Tensor:
    """[shifts]: the square of each shift's length; 1 is the farthest down or right alone."""
    most = max(1, min(height, width) // SHIFTED)
    return (torch.tensor(list_offsets(height, width), dtype=torch.float32) / most).square().sum(1)


@lru_cache(maxsize=16)
def make_turns(height: int, width: int) -> Tensor:
    """[2 f, shifts]: a query's spectrum times a reference's conjugate and this is their correlation at each shift."""
    shifts = torch.tensor(list_offsets(height, width), dtype=torch.float32)
    cycles = torch.tensor(list_frequencies(height, width)) / torch.tensor([height, width])
    angles = 2 * math.pi * cycles @ shifts.T
    return torch.stack([angles.cos(), -angles.sin()], dim=1).flatten(0, 1) * make_weights(height, width)[:, None]


@lru_cache(maxsize=16)
def make_weights(height: int, width: int) -> Tensor:
    """[2 f]: weight of each product of spectra; 2 for all but (0, 0), because each also stands for its opposite."""
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
def list_views(height: int, width: int) -> tuple[tuple[int, int, int], ...]:
    """(pose, down, right): the looks that a picture's signature is taken at; first the picture as it is.

    A window moved four ways stands for shifts, the poses are seen in the middle. No view's mirror image is missing.
    """
    step = math.ceil(min(height, width) // SHIFTED / 2)
    moves = [(down, right) for down in (-step, step) for right in (-step, step) if step]
    return (0, 0, 0), *((0, *move) for move in moves), *((number, 0, 0) for number in range(1, len(POSES)))


@lru_cache(maxsize=16)
def make_windows(height: int, width: int) -> Tensor:
    """[h * w, views * 2 f]: pixels times this are their spectra in each view, the view's mean taken out.

    A window is half a sine wave across the centre.
    """
    most, made = min(height, width) // SHIFTED, []
    for number, down, right in list_views(height, width):
        rows, columns = _pose_grid(height, width, POSES[number])
        window = _half_wave(rows - down, height - 2 * most) * _half_wave(columns - right, width - 2 * most)
        waves = _wave(rows, columns, height, width)
        made.append(window.flatten()[:, None] * (waves - window.flatten() @ waves / window.sum()))
    return torch.cat(made, dim=1)


@lru_cache(maxsize=16)
def make_posed_centres(height: int, width: int) -> tuple[Tensor, Tensor]:
    """Of the centre in every pose: [h * w, poses], 1 within it, and [h * w, poses * 2 f], its waves, 0 outside."""
    most, inside, waves = min(height, width) // SHIFTED, [], []
    for pose in POSES:
        rows, columns = _pose_grid(height, width, pose)
        within = (rows.abs() <= height / 2 - most) & (columns.abs() <= width / 2 - most)
        inside.append(within.flatten().float())
        waves.append(inside[-1][:, None] * _wave(rows, columns, height, width))
    return torch.stack(inside, dim=1), torch.cat(waves, dim=1)


def _pose_grid(height: int, width: int, pose: Pose) -> tuple[Tensor, Tensor]:
    """Where each pixel [h, w] of a picture lies in the posed picture: pixels down and right of its centre."""
    down = torch.arange(height, dtype=torch.float32) - (height - 1) / 2
    right = torch.arange(width, dtype=torch.float32) - (width - 1) / 2
    places = torch.stack(torch.meshgrid(down, right, indexing="ij"))
    rows, columns = torch.einsum("ij,jhw->ihw", torch.linalg.inv(pose.to_matrix()), places)
    return rows, columns


def _wave(rows: Tensor, columns: Tensor, height: int, width: int) -> Tensor:
    """[h * w, 2 f]: the waves at places [h, w] around the centre."""
    cycles = torch.tensor(list_frequencies(height, width), dtype=torch.float32)
    angles = (
        2
        * math.pi
        * (rows.flatten()[:, None] / height * cycles[:, 0] + columns.flatten()[:, None] / width * cycles[:, 1])
    )
    return torch.stack([angles.cos(), -angles.sin()], dim=2).flatten(1)


def _half_wave(places: Tensor, inner: int) -> Tensor:
    return torch.cos(math.pi * places / inner) * (places.abs() < inner / 2)
