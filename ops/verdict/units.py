"""The variance of class means where images of one unit are no independent draws.

Symbols: y a value of each image, n_c the images of class c, h_uc the share of them that unit u has. The influence of
unit u on the mean of class c is

    r_uc = sum over u's images of c of (y - mean_c y) / n_c / sqrt(1 - h_uc),

and for a sum of class means with weights w_c the cluster-robust variance (Liang and Zeger, Biometrika 73, 1986) is

    V = sum_u t_u^2,    t_u = sum_c w_c r_uc.

A unit with many images draws the mean towards itself, so its residual is too small, by sqrt(1 - h_uc); and where one
unit has most images the others say little of how much it varies. Both are as in Bell and McCaffrey (Survey Methodology
28, 2002): the correction CR2 for the mean of a class, and the degrees of freedom (sum λ)^2 / sum λ^2 of V, λ being its
eigenvalues if the means of units vary alike. Of g units with equally many images these are sqrt(g / (g - 1)) and g - 1.
Classes that share units are one *stratum*, because their means vary together; a stratum has degrees of freedom between
those of its classes, in proportion to their parts. A class of one unit has no variance of its own: it takes that of one
unit over all units.

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


def keep_several(units: IntArray | None) -> IntArray | None:
    """`units` int [n]; None where all images are one draw, which shows nothing of how much others would vary."""
    return None if units is None or len(np.unique(units)) == 1 else units


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
    def shares(self) -> FloatArray:
        """h of each pair, float64 [P] in (0, 1]."""
        return np.bincount(self.of_image) / self.counts[self.classes]

    @cached_property
    def freedom(self) -> FloatArray:
        """Degrees of freedom of each class's part of V, float64 [C], at least 1.

        With A = diag(h) - h h' for the means of units, and D = diag(1 / sqrt(1 - h)), λ are the eigenvalues of D A A D.
        Sum λ and sum λ^2 are its trace and the sum of its squared entries.
        """
        several = self.draws[self.classes] > 1
        h = np.where(several, self.shares, 0.0)
        b = h**2 / (1.0 - h)
        v = h - self._add(h**2)[self.classes] / 2.0
        trace, squares = self._add(b * (1.0 - 2.0 * v)), self._add(b**2 * ((1.0 - 2.0 * v) ** 2 - (2.0 * v) ** 2))
        squares += 2.0 * self._add(b * v**2) * self._add(b) + 2.0 * self._add(b * v) ** 2
        return np.asarray(
            np.where(self.draws > 1, np.maximum(trace**2 / np.where(squares > 0, squares, 1.0), 1.0), 1.0)
        )

    def _add(self, values: FloatArray) -> FloatArray:
        """Sums over each class's pairs, float64 [C], of values [P]."""
        return np.bincount(self.classes, weights=values, minlength=len(self.counts)).astype(np.float64, copy=False)

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
        several = self.draws[self.classes] > 1
        factors = several / np.sqrt(np.where(several, 1.0 - self.shares, 1.0)) / self.counts[self.classes]
        found = []
        for row in values.reshape(-1, values.shape[-1]):
            means = np.bincount(self.members, weights=row) / self.counts
            found.append(np.bincount(self.of_image, weights=row - means[self.members]) * factors)
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
        own = self._add(influences**2)
        parts, degrees = np.zeros(count), np.ones(count)
        for s in np.unique(self.strata[(self.draws > 1) & (weights != 0.0)]):
            inside = self.strata[self.classes] == s
            parts[s] = float(np.sum(self.sum_units(np.where(inside, influences, 0.0)) ** 2))
            shares = np.where(self.strata == s, own, 0.0)
            if shares.sum() > 0.0:
                degrees[s] = shares.sum() / float(np.sum(shares / self.freedom))
        return parts, degrees
