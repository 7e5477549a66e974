"""Whether a generator has learnt: where its images lie between images that show nothing and other real images.

In each feature space the floor is the nearest of several sorts of empty images (noise, blobs, heavily blurred real
images, class means, shuffled pieces of real images), and the ceiling is real training images. A position of 0 is as far
from real images as that floor, 1 as near as real images are to each other. The mean over spaces counts. This module
knows no recipe and no file.
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
CLEAR = 3.0  # standard errors between empty and real images, so that a space can tell them apart


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
        self._ceilings = spaces.measure_real()
        empty = make_floor(train, labels, FLOOR_IMAGES, torch.Generator().manual_seed(0))
        measured = {sort: spaces.measure(images) for sort, images in empty.items()}
        self._floors = {
            name: _find_nearest({sort: found[name] for sort, found in measured.items()}, self._ceilings[name])
            for name in spaces.names
        }

    def place(self, images: Tensor, parents: np.ndarray | None = None) -> dict[str, Position]:
        """The position of images uint8 [n, C, H, W], n at least 3, by space; without those that cannot tell real
        images from empty ones. `parents` as in `FeatureSpaces.measure`."""
        found = self._spaces.measure(images, parents)
        placed = {name: self._place(name, estimate) for name, estimate in found.items()}
        return {name: position for name, position in placed.items() if position is not None}

    def _place(self, name: str, found: Estimate) -> Position | None:
        ceiling, nearest = self._ceilings[name], self._floors[name]
        if nearest is None:
            return None
        sort, floor = nearest
        span = floor.value - ceiling.value
        position = (floor.value - found.value) / span
        error = math.hypot(found.error, floor.error * (1 - position), ceiling.error * position) / span
        return Position(position, error, found.value, found.error, floor.value, sort, ceiling.value)


def _find_nearest(floors: Mapping[str, Estimate], ceiling: Estimate) -> tuple[str, Estimate] | None:
    """The nearest sort of empty images that is clearly farther than real ones; None if the space is blind to all."""
    clear = {
        sort: floor
        for sort, floor in floors.items()
        if floor.value - ceiling.value > CLEAR * math.hypot(floor.error, ceiling.error)
    }
    return min(clear.items(), key=lambda item: item[1].value, default=None)


def find_mean(positions: Mapping[str, Position]) -> float | None:
    """The mean position over spaces, each limited to 0..1; None without spaces.

    A space that is blind to a fault, such as a weak scorer's, cannot make up for the others, and one that is far below
    the floor cannot outweigh them.
    """
    if not positions:
        return None
    return statistics.fmean(_limit(place.position) for place in positions.values())


def describe_positions(positions: Mapping[str, Position]) -> str:
    """Such as `scorer 80 %, texture 0 %`, each limited as in `find_mean`."""
    return ", ".join(f"{name} {100 * _limit(place.position):.0f} %" for name, place in positions.items())


def _limit(position: float) -> float:
    return min(1.0, max(0.0, position))
