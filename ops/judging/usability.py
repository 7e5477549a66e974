"""Whether a generator has learnt: where its images lie between images that show nothing and other real images.

In each feature space the floor is the nearest of several sorts of empty images (noise, blobs, heavily blurred real
images, class means), and the ceiling is real training images. A position of 0 is as far from real images as that floor,
1 as near as real images are to each other. The median over spaces counts. This module knows no recipe and no file.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ops.judging.spaces import FeatureSpaces
from ops.metrics.emptiness import make_floor
from ops.statistics.intervals import Estimate

FLOOR_IMAGES = 200  # of each sort


@dataclass(frozen=True)
class Position:
    """Where images lie in one space.

    position: 0 at the floor, 1 at the ceiling; it may be outside. error: its standard error over images. distance,
    distance_error: from the held-out real images. floor, nearest: the distance of the nearest sort of empty images, and
    its name. ceiling: the distance of real training images.
    """

    position: float
    error: float
    distance: float
    distance_error: float
    floor: float
    nearest: str
    ceiling: float


class Scale:
    """The floor and the ceiling of a set of real images; places other images between them.

    train, labels : real training images, uint8 [n, C, H, W] and int [n], from which the empty images are made.
    """

    def __init__(self, spaces: FeatureSpaces, train: Tensor, labels: np.ndarray) -> None:
        self._spaces = spaces
        empty = make_floor(train, labels, FLOOR_IMAGES, torch.Generator().manual_seed(0))
        floors = {sort: spaces.measure(images) for sort, images in empty.items()}
        nearest = {name: min(floors, key=lambda sort: floors[sort][name].value) for name in spaces.names}
        self._floors = {name: (sort, floors[sort][name]) for name, sort in nearest.items()}
        self._ceilings = spaces.measure_real()

    def place(self, images: Tensor, parents: np.ndarray | None = None) -> dict[str, Position]:
        """The position of images uint8 [n, C, H, W], n at least 3, by space; without those that cannot tell real
        images from empty ones. `parents` as in `FeatureSpaces.measure`."""
        found = self._spaces.measure(images, parents)
        placed = {name: self._place(name, estimate) for name, estimate in found.items()}
        return {name: position for name, position in placed.items() if position is not None}

    def _place(self, name: str, found: Estimate) -> Position | None:
        (sort, floor), ceiling = self._floors[name], self._ceilings[name]
        span = floor.value - ceiling.value
        if span <= 2 * math.hypot(floor.error, ceiling.error):
            return None
        position = (floor.value - found.value) / span
        error = math.hypot(found.error, floor.error * (1 - position), ceiling.error * position) / span
        return Position(position, error, found.value, found.error, floor.value, sort, ceiling.value)


def find_middle(positions: Mapping[str, Position]) -> float | None:
    """The median position over spaces; None without spaces.

    So neither a space that is blind, such as a weak scorer's, nor one that is too strict decides alone.
    """
    return statistics.median(place.position for place in positions.values()) if positions else None


def describe_positions(positions: Mapping[str, Position]) -> str:
    """Such as `scorer 80 %, texture 75 %`."""
    return ", ".join(f"{name} {place.position:.0%}" for name, place in positions.items())
