"""How test images are divided: by class, by the fold in which they were test images, and by what belongs together.

Images of one *unit* (one patient, one film) are alike, so that a network that is wrong on one is often wrong on all.
They are one draw from the world, not several; `units` says what follows. The module does not know scores or arms.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from ops.verdict.units import FloatArray, IntArray, Pairs


@dataclass(frozen=True)
class Groups:
    """Which class each of the n images belongs to; every one of the C classes has images.

    members: int [n] in [0, C). folds: int [n] in [0, k), the fold in which each image was a test image; None if the
    images were never divided. units: int [n] in [0, U), equal for images that are one draw; None if each is its own.
    """

    members: IntArray
    folds: IntArray | None = None
    units: IntArray | None = None

    @cached_property
    def counts(self) -> FloatArray:
        """Images per class, float64 [C]."""
        return np.bincount(self.members).astype(np.float64)

    @cached_property
    def places(self) -> list[IntArray]:
        """Per class the places of its images among all n, in order."""
        ends = np.cumsum(np.bincount(self.members))[:-1]
        return np.split(np.argsort(self.members, kind="stable"), ends)

    def split(self, values: npt.NDArray[Any]) -> FloatArray:
        """`average` of float or bool [K, n] as a sum of parts, one for each fold's images: float64 [K, k, C].

        Without folds there is one part.
        """
        if self.folds is None:
            return self.average(values)[:, np.newaxis]
        folds, classes = int(self.folds.max()) + 1, len(self.counts)
        cells = self.folds * classes + self.members
        sums = np.stack([np.bincount(cells, weights=row, minlength=folds * classes) for row in values])
        return np.asarray(sums.reshape(len(values), folds, classes) / self.counts)

    def average(self, values: npt.NDArray[Any]) -> FloatArray:
        """Class means float64 [..., C] of values bool or float64 [..., n]."""
        if len(self.counts) == 1:
            return np.asarray(values.mean(axis=-1, keepdims=True))
        rows = values.reshape(-1, values.shape[-1])
        # Summed image by image: the order of summation in a matrix product depends on the number of threads.
        sums = np.stack([np.bincount(self.members, weights=row) for row in rows])
        return np.asarray((sums / self.counts).reshape(*values.shape[:-1], -1))

    @cached_property
    def pairs(self) -> Pairs:
        """The units of each class. ValueError without units."""
        if self.units is None:
            raise ValueError("these images are not divided into units")
        return Pairs(self.members, self.units)

    @cached_property
    def total(self) -> int:
        """Independent draws in all: units, or images."""
        return len(self.members) if self.units is None else int(self.units.max()) + 1


def group_images(
    labels: IntArray | None, images: int, folds: IntArray | None = None, units: IntArray | None = None
) -> Groups:
    """The classes that have images, in the order of their numbers; without labels all images are one class.

    folds, units: int [n], of any numbers.
    """
    if folds is not None:
        folds = np.unique(folds, return_inverse=True)[1]
    if units is not None:
        units = np.unique(units, return_inverse=True)[1]
    if labels is None:
        return Groups(np.zeros(images, dtype=np.int64), folds, units)
    return Groups(np.unique(labels, return_inverse=True)[1], folds, units)
