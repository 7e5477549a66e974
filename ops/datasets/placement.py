"""Assign units of several images, such as patients, to splits so that every split gets its counts per class.

Symbols: n[u, c] images of unit u in class c; t[s, c] target of split s; h[s, c] images held by it; spare[c] single
images that are placed later. The cost of an assignment is

    J = sum over s, c of (h[s, c] - t[s, c])^2 / max(t[s, c], 1)  +  A * sum over c of max(0, absent[c] - spare[c])

where absent[c] counts the splits that want class c and hold none of it, and A exceeds every value of the first sum.

1. Place: heavy units first, each in the split where J's first sum grows least. This is the idea of scikit-learn's
   StratifiedGroupKFold, with parts of unequal size.
2. Move single units, then exchange pairs, as long as J falls.
3. Few units: repeat from other orders and keep the best. Finding the optimum is NP-hard.

It does not know images, keys and groups. The orders are fixed permutations of a given rank.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

# The search is bounded by counts and not by seconds, so that every machine finds the same result.
_MAX_MOVES = 50_000
_MAX_UNITS = 400  # more units are neither exchanged (every pair is tried) nor placed in other orders
_MAX_ROUNDS = 20
_STARTS = 8  # orders in which the units are placed
_MAX_WORK = 200_000_000  # values of h that exchanges compute before the last start, about a second
_EPSILON = 1e-9  # a smaller fall of J is rounding


def place_units(
    counts: sparse.csr_array, targets: np.ndarray, *, spare: np.ndarray, rank: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The split of each unit, int64 [units], and the images that each split then holds, float64 [splits, classes].

    counts: n, CSR [units, classes], no unit empty. targets: t, float64 [splits, classes], at least 1 for a class that
    has images. spare: int64 [classes], single images that the caller places later, so that a split may lack as many.
    rank: [units], all different; it orders units of equal weight.

    The assignment makes J small (see the module).
    """
    totals = np.maximum(targets.sum(axis=0), 1.0)
    by_rank = np.argsort(rank)

    # First start: heavy units first; the weight of u is the sum over c of (n[u, c] / total[c])^2.
    best = _Search(counts, targets, spare)
    weight = np.array([((n / totals[classes]) ** 2).sum() for classes, n in best.units])
    _search(best, np.lexsort((rank, -weight)).tolist())

    # Other starts, for few units: fixed permutations of the rank.
    work = best.work
    for start in range(1, _STARTS):
        if best.is_perfect() or len(by_rank) > _MAX_UNITS or work > _MAX_WORK:
            break
        other = _Search(counts, targets, spare)
        _search(other, np.random.Generator(np.random.Philox(start)).permutation(by_rank).tolist())
        work += other.work
        if other.cost() < best.cost() - _EPSILON:
            best = other
    return best.split, best.held


def _search(state: _Search, order: list[int]) -> None:
    """Place all units in this order, then improve until nothing helps or a bound is reached."""
    for unit in order:
        state.add(unit)
    moves = 0
    for _ in range(_MAX_ROUNDS):
        moves += len(order)
        if state.is_perfect() or moves > _MAX_MOVES:
            return
        improved = sum(state.move(unit) for unit in order)
        if not improved and len(order) <= _MAX_UNITS:  # exchanges cost more, so they wait until moves fail
            improved = sum(state.exchange(unit) for unit in order)
        if not improved:
            return


class _Search:
    """An assignment in progress. units: for each unit its classes, and its n in these classes. held: h."""

    def __init__(self, counts: sparse.csr_array, targets: np.ndarray, spare: np.ndarray) -> None:
        bounds = zip(counts.indptr[:-1], counts.indptr[1:], strict=True)
        self.units = [(counts.indices[a:b], counts.data[a:b].astype(np.float64)) for a, b in bounds]
        self.counts = counts
        self.targets = targets
        self.spare = spare
        self.scale = 1.0 / np.maximum(targets, 1.0)
        self.absence = 1.0 + ((targets.sum(axis=0) ** 2) * self.scale).sum()  # A
        self.held: np.ndarray = np.zeros(targets.shape)
        self.split: np.ndarray = np.full(len(self.units), -1, np.int64)
        self.work = 0

    def is_perfect(self) -> bool:
        """Whether h is nowhere above t: the spare images then make all counts exact."""
        return bool((self.held <= self.targets).all())

    def cost(self) -> float:
        """J of this assignment."""
        return float(self._cost(self.held[None], np.arange(self.held.shape[1]))[0])

    def add(self, unit: int) -> None:
        """Place a unit in the split where the first sum of J grows least."""
        classes, n = self.units[unit]
        lack = self.targets[:, classes] - self.held[:, classes]
        # (h + n - t)^2 - (h - t)^2 = n (n - 2 lack)
        growth = (n * (n - 2.0 * lack) * self.scale[:, classes]).sum(axis=1)
        self._put(unit, int(np.argmin(growth)))

    def move(self, unit: int) -> bool:
        """Move a unit to the split with the lowest J; whether that lowers J."""
        classes, n = self.units[unit]
        # J with the unit in each split; other classes do not change.
        without = self.held[:, classes]
        without[self.split[unit]] -= n
        options = without + np.eye(len(without))[:, :, None] * n
        costs = self._cost(options, classes)
        best, now = int(np.argmin(costs)), int(self.split[unit])
        if costs[best] >= costs[now] - _EPSILON * (1.0 + costs[now]):
            return False
        self.held[now, classes] -= n
        self._put(unit, best)
        return True

    def exchange(self, unit: int) -> bool:
        """Swap the splits of a unit and the best partner in another split; whether that lowers J."""
        here = int(self.split[unit])
        others = np.flatnonzero(self.split != here)
        if len(others) == 0:
            return False
        # h after a swap with each partner v: this split gains n[v] - n[u], the partner's split loses it.
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
        classes, n = self.units[unit]
        self.held[split, classes] += n
        self.split[unit] = split

    def _cost(self, held: np.ndarray, classes: np.ndarray) -> np.ndarray:
        """J of states [options, splits, classes], counting these classes only: float64 [options]."""
        off = (held - self.targets[:, classes]) ** 2 * self.scale[:, classes]
        absent = ((held == 0) & (self.targets[:, classes] > 0)).sum(axis=1) - self.spare[classes]
        return off.sum(axis=(1, 2)) + self.absence * np.maximum(absent, 0).sum(axis=1)
