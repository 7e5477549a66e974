"""The variance of class means where images of one unit are no independent draws.

Symbols: y a value of each image, n_c the images of class c, g_c the units that have some of them. The influence of unit
u on the mean of class c is

    r_uc = sqrt(g_c / (g_c - 1)) sum over u's images of c of (y - mean_c y) / n_c,

and for a sum of class means with weights w_c the cluster-robust variance (Liang and Zeger, Biometrika 73, 1986) is

    V = sum_u t_u^2,    t_u = sum_c w_c r_uc.

The factor is that of one class (Cameron and Miller, Journal of Human Resources 50, 2015), and allows for each class's
own number of units. Classes that share units are one *stratum*, because their means vary together; a stratum has
degrees of freedom between the g_c - 1 of its classes, in proportion to their parts. A class of one unit has no
variance of its own: it takes that of one unit over all units.

The module does not know arms, replicates or folds.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True, eq=False)
class Pairs:
    """The pairs of a unit and a class that have images, P of them.

    members: the class of each image, int [n] in [0, C). owners: its unit, int [n] in [0, U). All have images.
    """

    members: IntArray
    owners: IntArray

    @cached_property
    def counts(self) -> FloatArray:
        """n_c, float64 [C]."""
        return np.bincount(self.members).astype(np.float64)

    @cached_property
    def sizes(self) -> FloatArray:
        """Images of each unit, float64 [U]."""
        return np.bincount(self.owners).astype(np.float64)

    @cached_property
    def of_image(self) -> IntArray:
        """The pair of each image, int [n]."""
        return self._found[1]

    @cached_property
    def units(self) -> IntArray:
        """The unit of each pair, int [P]."""
        return self._found[0] // len(self.counts)

    @cached_property
    def classes(self) -> IntArray:
        """The class of each pair, int [P]."""
        return self._found[0] % len(self.counts)

    @cached_property
    def draws(self) -> FloatArray:
        """g_c, float64 [C]."""
        return np.bincount(self.classes).astype(np.float64)

    @cached_property
    def strata(self) -> IntArray:
        """The stratum of each class, int [C]."""
        from scipy import sparse  # takes a tenth of a second

        classes, nodes = len(self.draws), len(self.draws) + len(self.sizes)
        shared = self.draws[self.classes] > 1
        ends = self.classes[shared], classes + self.units[shared]
        links = sparse.coo_array((np.ones(len(ends[0])), ends), shape=(nodes, nodes))
        found = sparse.csgraph.connected_components(links, directed=False)[1][:classes]
        return np.unique(found, return_inverse=True)[1]

    @cached_property
    def _found(self) -> tuple[IntArray, IntArray]:
        found = np.unique(self.members + len(self.counts) * self.owners, return_inverse=True)
        return found[0], found[1]

    def find_influences(self, values: npt.NDArray[Any]) -> FloatArray:
        """r of each pair, float64 [..., P], of values bool or float [..., n]; 0 for a class of one unit."""
        factors = np.sqrt(self.draws / np.maximum(self.draws - 1.0, 1.0)) * (self.draws > 1) / self.counts
        found = []
        for row in values.reshape(-1, values.shape[-1]):
            means = np.bincount(self.members, weights=row) / self.counts
            found.append(np.bincount(self.of_image, weights=row - means[self.members]) * factors[self.classes])
        return np.asarray(np.stack(found), np.float64).reshape(*values.shape[:-1], -1)

    def sum_units(self, values: FloatArray) -> FloatArray:
        """Sums float64 [..., U] of pairs' values [..., P]."""
        sums = [np.bincount(self.units, weights=row) for row in values.reshape(-1, values.shape[-1])]
        return np.asarray(np.stack(sums), np.float64).reshape(*values.shape[:-1], -1)

    def average_units(self, values: FloatArray) -> FloatArray:
        """The mean over each unit's images, float64 [..., U], of values [..., n]."""
        sums = [np.bincount(self.owners, weights=row) / self.sizes for row in values.reshape(-1, values.shape[-1])]
        return np.asarray(np.stack(sums), np.float64).reshape(*values.shape[:-1], -1)

    def split_variance(self, influences: FloatArray, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
        """V of each stratum and its degrees of freedom, float64 [S] each.

        influences: weighted, float64 [P]. weights: of the classes, float64 [C]; a class of weight 0 has no part.
        """
        count = int(self.strata.max()) + 1
        own = np.bincount(self.classes, weights=influences**2, minlength=len(self.draws))
        freedom = np.maximum(self.draws - 1.0, 1.0)
        parts, degrees = np.zeros(count), np.ones(count)
        for s in np.unique(self.strata[(self.draws > 1) & (weights != 0.0)]):
            inside = self.strata[self.classes] == s
            parts[s] = float(np.sum(self.sum_units(np.where(inside, influences, 0.0)) ** 2))
            shares = np.where(self.strata == s, own, 0.0)
            if shares.sum() > 0.0:
                degrees[s] = shares.sum() / float(np.sum(shares / freedom))
        return parts, degrees
