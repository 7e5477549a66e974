"""Units of several images, such as patients, are shared out so that every split gets its counts per class.

A greedy pass places the units that weigh most in their classes first, each where the classes lack most: the idea
of scikit-learn's StratifiedGroupKFold, with parts of unequal size. Then units are moved, and pairs of them
exchanged, as long as that brings the counts nearer. Where units are few, that is done from several orders and the
best is kept; to find the best of all assignments is NP-hard.

It knows nothing of images, keys and groups. The orders are fixed permutations of a rank that is given.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

# Bounds of the search are counts and not seconds, so that the result is the same on every machine.
_MOVES = 50_000
_EXCHANGED = 400  # units; each pair of them is tried
_ROUNDS = 20
_STARTS = 8  # orders in which the units are placed
_WORK = 200_000_000  # counts that exchanges look at before no other start is made, about a second
_EPSILON = 1e-9


def place_units(
    counts: sparse.csr_array, targets: np.ndarray, *, spare: np.ndarray, rank: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The split of each unit, int64 [units], and the images that each split then holds, float64 [splits, classes].

    counts: images of each unit and class, CSR [units, classes], no unit empty. targets: float64 [splits, classes],
    at least 1 for a class that has images. spare: single images of each class, int64 [classes], that the caller
    places later, so a split may lack as many. rank: [units], all different, orders units that weigh the same.

    What is made small is the sum of (held - target)² / target; a class that is absent from a split, and that no
    spare image can bring there, costs more than all of that.
    """
    totals = np.maximum(targets.sum(axis=0), 1.0)
    by_rank = np.argsort(rank)
    best = _Search(counts, targets, spare)
    weight = np.array([((images / totals[kinds]) ** 2).sum() for kinds, images in best.units])
    _run(best, np.lexsort((rank, -weight)).tolist())
    work = best.work
    for start in range(1, _STARTS):
        if best.is_perfect() or len(by_rank) > _EXCHANGED or work > _WORK:
            break
        other = _Search(counts, targets, spare)
        _run(other, np.random.Generator(np.random.Philox(start)).permutation(by_rank).tolist())
        work += other.work
        if other.cost() < best.cost() - _EPSILON:
            best = other
    return best.split, best.held


def _run(search: _Search, order: list[int]) -> None:
    for unit in order:
        search.add(unit)
    moves = 0
    for _ in range(_ROUNDS):
        moves += len(order)
        if search.is_perfect() or moves > _MOVES:
            return
        improved = sum(search.move(unit) for unit in order)
        if not improved and len(order) <= _EXCHANGED:
            improved = sum(search.exchange(unit) for unit in order)
        if not improved:
            return


class _Search:
    """An assignment under way. `units`: the classes of each unit and its images of them."""

    def __init__(self, counts: sparse.csr_array, targets: np.ndarray, spare: np.ndarray) -> None:
        bounds = zip(counts.indptr[:-1], counts.indptr[1:], strict=True)
        self.units = [(counts.indices[a:b], counts.data[a:b].astype(np.float64)) for a, b in bounds]
        self.counts = counts
        self.targets = targets
        self.spare = spare
        self.scale = 1.0 / np.maximum(targets, 1.0)
        self.absence = 1.0 + ((targets.sum(axis=0) ** 2) * self.scale).sum()
        self.held: np.ndarray = np.zeros(targets.shape)
        self.split: np.ndarray = np.full(len(self.units), -1, np.int64)
        self.work = 0

    def is_perfect(self) -> bool:
        """Nothing is above its target, so the spare images make all of it exact."""
        return bool((self.held <= self.targets).all())

    def cost(self) -> float:
        return float(self._cost(self.held[None], np.arange(self.held.shape[1]))[0])

    def add(self, unit: int) -> None:
        """Places a unit where the sum of squares grows least."""
        kinds, images = self.units[unit]
        lack = self.targets[:, kinds] - self.held[:, kinds]
        self._put(unit, int(np.argmin((images * (images - 2.0 * lack) * self.scale[:, kinds]).sum(axis=1))))

    def move(self, unit: int) -> bool:
        """Whether another split was cheaper; the unit is then there."""
        kinds, images = self.units[unit]
        without = self.held[:, kinds]
        without[self.split[unit]] -= images
        options = without + np.eye(len(without))[:, :, None] * images
        costs = self._cost(options, kinds)
        best, now = int(np.argmin(costs)), int(self.split[unit])
        if costs[best] >= costs[now] - _EPSILON * (1.0 + costs[now]):
            return False
        self.held[now, kinds] -= images
        self._put(unit, best)
        return True

    def exchange(self, unit: int) -> bool:
        """Whether a unit of another split was worth changing places with; the best of them then has done so."""
        here = int(self.split[unit])
        others = np.flatnonzero(self.split != here)
        if len(others) == 0:
            return False
        change = self.counts[others].toarray() - self.counts[[unit]].toarray()
        options = np.repeat(self.held[None], len(others), axis=0)
        options[:, here] += change
        options[np.arange(len(others)), self.split[others]] -= change
        self.work += options.size
        costs = self._cost(options, np.arange(self.held.shape[1]))
        now = self.cost()
        best = int(np.argmin(costs))
        if costs[best] >= now - _EPSILON * (1.0 + now):
            return False
        other = int(others[best])
        there = int(self.split[other])
        self.held = options[best]
        self.split[unit], self.split[other] = there, here
        return True

    def _put(self, unit: int, split: int) -> None:
        kinds, images = self.units[unit]
        self.held[split, kinds] += images
        self.split[unit] = split

    def _cost(self, held: np.ndarray, kinds: np.ndarray) -> np.ndarray:
        """Of states [options, splits, kinds]: float64 [options]."""
        off = (held - self.targets[:, kinds]) ** 2 * self.scale[:, kinds]
        absent = ((held == 0) & (self.targets[:, kinds] > 0)).sum(axis=1) - self.spare[kinds]
        return off.sum(axis=(1, 2)) + self.absence * np.maximum(absent, 0).sum(axis=1)
