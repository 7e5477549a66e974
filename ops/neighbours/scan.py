"""The neighbours of a block of queries in a slab of references: products first, then exact distances of the few left.

Products are looked at in tiles that fit into the processor's cache: the smallest of each group of columns, and only
in groups that reach below the limit the columns themselves. References come in rising order, on which ties rely.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from ops.neighbours.product import GROUP, NEVER, Limits, Points, Slab
from ops.neighbours.rows import Rows, measure_pairs

TILE = 1024  # columns
CROWD = 32  # candidates for each query and neighbour, beyond which they are thinned out


@dataclass(eq=False)
class Nearest:
    """The nearest references so far: distances float32 [b, k] rising, inf for none; indices int64 [b, k], -1."""

    distances: np.ndarray
    indices: np.ndarray

    @classmethod
    def none(cls, count: int, k: int) -> Nearest:
        """Nothing found yet."""
        return cls(np.full((count, k), np.inf, np.float32), np.full((count, k), -1, np.int64))

    def merge(self, rows: np.ndarray, columns: np.ndarray, distances: np.ndarray) -> None:
        """Take in measured pairs that are not in it yet; of equal distances the lower index comes first."""
        k = self.distances.shape[1]
        if not len(rows):
            return
        touched = np.unique(rows)
        every = np.concatenate([np.repeat(touched, k), rows])
        near = np.concatenate([self.distances[touched].ravel(), distances])
        index = np.concatenate([self.indices[touched].ravel(), columns])
        order = np.lexsort((index, near, every))
        every = every[order]
        starts = np.searchsorted(every, touched)
        best = order[starts[:, None] + np.arange(k)]
        self.distances[touched], self.indices[touched] = near[best], index[best]


@dataclass(eq=False)
class _Candidates:
    """Pairs that may be among the nearest: row in the block, reference, product."""

    rows: list[np.ndarray] = field(default_factory=list)
    columns: list[np.ndarray] = field(default_factory=list)
    products: list[np.ndarray] = field(default_factory=list)
    count: int = 0

    def add(self, rows: np.ndarray, columns: np.ndarray, products: np.ndarray) -> None:
        self.rows.append(rows)
        self.columns.append(columns)
        self.products.append(products)
        self.count += len(rows)

    def pop(self, limits: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """All that are still below the limits; none is left."""
        if not self.count:
            return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
        rows, columns, products = (np.concatenate(part) for part in (self.rows, self.columns, self.products))
        keep = products <= limits[rows]
        self.rows, self.columns, self.products, self.count = [], [], [], 0
        return rows[keep], columns[keep], products[keep]


@dataclass(frozen=True, eq=False)
class Block:
    """Queries of one scan.

    numbers: int64 [b], their places in `queries`. ends: int64 [b], only references before them count. selves: int64
    [b] or None, the one reference that does not.
    """

    numbers: np.ndarray
    points: Points
    ends: np.ndarray
    selves: np.ndarray | None


def scan(
    block: Block, slab: Slab, queries: Rows, references: Rows, nearest: Nearest, *, give_up: bool = False
) -> np.ndarray:
    """Bring `nearest` up to date with the slab; returns bool [b], the queries that were given up.

    With `give_up` a query whose products leave too many candidates is left as it was; else they are measured.
    """
    k = nearest.distances.shape[1]
    size = len(block.numbers)
    bounds = Limits(block.points, slab)
    limits = bounds.of_distances(nearest.distances[:, -1])
    given_up = np.zeros(size, bool)
    lowest = torch.full((size, k), NEVER, dtype=block.points.factors.dtype)
    candidates = _Candidates()
    crowd = size * CROWD * k
    room = torch.empty(size * TILE, dtype=lowest.dtype)
    last = min(slab.count, int(block.ends.max()) - slab.start)
    for start in range(0, last, TILE):
        factors = slab.factors[start : start + TILE]
        products = torch.mm(block.points.factors, factors.T, out=room[: size * len(factors)].view(size, len(factors)))
        _forbid(products[:, : slab.count - start], block, slab.start + start)
        group = _choose_group(len(factors), k)
        grouped = products.view(size, group, -1)
        minima = grouped.amin(dim=1)
        _lower(lowest, minima)
        limits = np.minimum(limits, bounds.of_products(lowest[:, -1].double().numpy()))
        limits[given_up | _is_closed(nearest)] = -np.inf
        rows, groups = _find(minima.numpy() <= limits[:, None])
        if len(rows):
            _collect(candidates, grouped.numpy(), rows, groups, limits, slab.start + start)
        if candidates.count > crowd:
            rows, columns, found = candidates.pop(limits)
            if len(rows) <= crowd // 2:
                candidates.add(rows, columns, found)
            elif give_up:
                given_up |= np.bincount(rows, minlength=size) > crowd // size // 2
                keep = ~given_up[rows]
                candidates.add(rows[keep], columns[keep], found[keep])
            else:
                _settle(block, queries, references, nearest, rows, columns)
                limits = np.minimum(limits, bounds.of_distances(nearest.distances[:, -1]))
    limits[given_up] = -np.inf
    rows, columns, _ = candidates.pop(limits)
    nearest.merge(rows, columns, measure_pairs(queries, references, block.numbers[rows], columns))
    return given_up


def _choose_group(width: int, k: int) -> int:
    """Columns in a group: few enough that there are twice as many groups as neighbours, if that can be."""
    group = GROUP
    while group > 1 and width // group < 2 * k:
        group //= 2
    return group


def _forbid(products: Tensor, block: Block, start: int) -> None:
    """NEVER for pairs that do not count, in the tile whose first reference is `start`."""
    stop = start + products.shape[1]
    if int(block.ends.min()) < stop:
        columns = torch.arange(start, stop)
        products.masked_fill_(columns >= torch.from_numpy(block.ends)[:, None], NEVER)
    if block.selves is not None:
        rows = np.flatnonzero((block.selves >= start) & (block.selves < stop))
        products[torch.from_numpy(rows), torch.from_numpy(block.selves[rows] - start)] = NEVER


def _lower(lowest: Tensor, minima: Tensor) -> None:
    """The k lowest products seen [b, k], of different columns, with those of a further tile."""
    k = lowest.shape[1]
    if k == 1:
        torch.minimum(lowest[:, 0], minima.amin(dim=1), out=lowest[:, 0])
        return
    # topk is slow: of few columns, and only where they change something.
    while minima.shape[1] % 2 == 0 and minima.shape[1] >= 4 * k:
        minima = torch.minimum(*minima.chunk(2, dim=1))
    rows = (minima.amin(dim=1) < lowest[:, -1]).nonzero()[:, 0]
    both = torch.cat([lowest[rows], minima[rows]], dim=1)
    lowest[rows] = both.topk(k, dim=1, largest=False).values


def _find(wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns where a matrix is true; numpy is faster at this when it is flat."""
    rows, columns = np.divmod(np.flatnonzero(wanted), wanted.shape[1])
    return rows, columns


def _is_closed(nearest: Nearest) -> np.ndarray:
    """Queries with k references at distance 0: those that follow have higher indices and lose the tie."""
    closed: np.ndarray = nearest.distances[:, -1] == 0
    return closed


def _collect(
    candidates: _Candidates, grouped: np.ndarray, rows: np.ndarray, groups: np.ndarray, limits: np.ndarray, start: int
) -> None:
    """Add the columns below the limit of groups that have one; a group's columns lie `grouped.shape[2]` apart."""
    products = grouped[rows, :, groups]
    pair, member = _find(products <= limits[rows, None])
    columns = start + member * grouped.shape[2] + groups[pair]
    candidates.add(rows[pair], columns, products[pair, member])


def _settle(
    block: Block, queries: Rows, references: Rows, nearest: Nearest, rows: np.ndarray, columns: np.ndarray
) -> None:
    """Measure crowded candidates, each query's lowest references first: equal rows end it soon."""
    order = np.lexsort((columns, rows))
    rows, columns = rows[order], columns[order]
    while len(rows):
        rank = np.arange(len(rows)) - np.searchsorted(rows, rows)
        now = rank < CROWD
        nearest.merge(
            rows[now], columns[now], measure_pairs(queries, references, block.numbers[rows[now]], columns[now])
        )
        rest = ~now & ~_is_closed(nearest)[rows]
        rows, columns = rows[rest], columns[rest]
