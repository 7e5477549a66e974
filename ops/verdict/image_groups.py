"""How test images are divided: by class, by the fold in which they were test images, and by what belongs together.

Images of one *unit* (one patient, one film) are alike, so that a network that is wrong on one is often wrong on all.
They are one draw from the world, not several. Classes that share a unit are one *stratum*: their accuracies vary
together. Without units each image is a draw of its own, and each class a stratum.

The module does not know scores, arms or intervals.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.integer[Any]]


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
    def draws(self) -> FloatArray:
        """Independent draws that have images of each class, float64 [C]: units, or images."""
        if self.units is None:
            return self.counts
        pairs = np.unique(self.members + len(self.counts) * self.units) % len(self.counts)
        return np.bincount(pairs, minlength=len(self.counts)).astype(np.float64)

    @cached_property
    def total(self) -> int:
        """Independent draws in all."""
        return len(self.members) if self.units is None else int(self.units.max()) + 1

    @cached_property
    def strata(self) -> IntArray:
        """The stratum of each class, int [C]."""
        if self.units is None:
            return np.arange(len(self.counts))
        from scipy import sparse  # takes a tenth of a second

        classes, nodes = len(self.counts), len(self.counts) + self.total
        links = sparse.coo_array((np.ones(len(self.units)), (self.members, classes + self.units)), shape=(nodes, nodes))
        found = sparse.csgraph.connected_components(links, directed=False)[1][:classes]
        return np.unique(found, return_inverse=True)[1]

    @cached_property
    def unit_strata(self) -> IntArray:
        """The stratum of each unit, int [U]. ValueError if there are no units."""
        if self.units is None:
            raise ValueError("these images are not divided into units")
        strata = np.zeros(self.total, dtype=np.int64)
        strata[self.units] = self.strata[self.members]
        return strata

    @cached_property
    def stratum_draws(self) -> FloatArray:
        """Independent draws of each stratum, float64 [S]."""
        return self.counts if self.units is None else np.bincount(self.unit_strata).astype(np.float64)

    def sum_units(self, values: npt.NDArray[Any]) -> FloatArray:
        """Sums float64 [..., U] over the images of each unit of values [..., n]. ValueError if there are no units."""
        if self.units is None:
            raise ValueError("these images are not divided into units")
        rows = values.reshape(-1, values.shape[-1])
        sums = np.stack([np.bincount(self.units, weights=row, minlength=self.total) for row in rows])
        return np.asarray(sums.reshape(*values.shape[:-1], -1))


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
