"""Exact comparisons of squared distances between features, at the cost of float32 matrix products.

A float32 product gives every squared distance with a known error bound. Pairs that the bound cannot decide are measured
again by differences in float64. The answers follow the definition exactly, ties included. It knows nothing of what is
compared or why.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

BLOCK_ENTRIES = 2**20  # of one block of the distance matrix: 4 MB of float32
PAIRS_AT_ONCE = 2**13  # measured again at once, in float64
GROUP = 16  # columns that are reduced to their smallest entry before the search for the k-th smallest
MAX_CANDIDATES = 64  # of a row beyond its neighbours; with more the whole row is searched in float64
MAX_FEATURE = 1e150  # beyond this a feature's square overflows float64


@dataclass(frozen=True, eq=False)
class Comparison:
    """All pairs of queries [q, d] and references [n, d], both float64.

    `blocks` bounds their squared distances. `measure` computes them exactly, from differences squared and summed in
    float64, so they are 0 for equal rows and symmetric.
    """

    queries: Tensor
    references: Tensor

    @cached_property
    def _sides(self) -> tuple[tuple[Tensor, Tensor, Tensor], tuple[Tensor, Tensor, Tensor], float]:
        """Per side: centred, scaled points float32, their part of the lower bound and of its width; then the scale².

        Let u = 2^-24 and N = |x|² + |y|². Rounding x and y changes |x - y|² by at most 4uN, the product of d terms
        is wrong by at most duN, rounding the norms and the sums by 6uN: so (d + 16)uN bounds the whole error. Scaling
        prevents overflow of squares; the constant covers underflow. The bound holds as long as torch multiplies float32
        matrices in full precision (`torch.set_float32_matmul_precision`).
        """
        centre = self.references.mean(dim=0)
        sides = [self.queries - centre, self.references - centre]
        largest = max((float(side.abs().max()) for side in sides if side.numel()), default=0.0)
        scale = 2.0 ** -np.ceil(np.log2(largest)) if largest > 0 else 1.0
        size = self.references.shape[1]
        share = (size + 16) * 2.0**-24
        found = []
        for side in sides:
            points = (side * scale).float()
            norms = points.double().square().sum(dim=1)
            lower = ((1 - share) * norms - size * 2.0**-110).float()
            found.append((points, lower, 2 * share * norms + size * 2.0**-109))
        return found[0], found[1], scale * scale

    def blocks(self) -> Iterator[Block]:
        """The matrix of squared distances in blocks of consecutive rows, bounded from below and from above."""
        (points, lower, width), (others, other_lower, other_width), square = self._sides
        rows = max(1, BLOCK_ENTRIES // max(1, len(others)))
        for start in range(0, len(points), rows):
            end = min(start + rows, len(points))
            bounds = torch.addmm(other_lower[None], points[start:end], others.T, alpha=-2)
            bounds.add_(lower[start:end, None])
            yield Block(self, start, bounds.numpy(), width[start:end].numpy(), other_width.numpy(), square)

    def measure(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Squared distances float64 [m] of the pairs (rows[i], columns[i]), each int64 [m]."""
        pairs = zip(
            torch.from_numpy(rows).split(PAIRS_AT_ONCE), torch.from_numpy(columns).split(PAIRS_AT_ONCE), strict=True
        )
        parts = [(self.queries[row] - self.references[column]).square().sum(dim=1) for row, column in pairs]
        return torch.cat(parts).numpy() if parts else np.empty(0)

    def find_nearest(self, neighbours: int, own: np.ndarray | None = None) -> Iterator[Pairs]:
        """The nearest references of each query, in order of the queries, with exact distances.

        These are at least `neighbours` of each query, with all ties of the last one, and perhaps some more. One
        exception: among more than MAX_CANDIDATES references that float32 cannot tell apart only the nearest
        `neighbours` + 8 by float64 are returned. `own` [q] is the reference that is the query itself and does not
        count. `neighbours` must not exceed the number of references without it.
        """
        for block in self.blocks():
            if own is not None:
                block.bounds[np.arange(len(block.bounds)), own[block.start : block.start + len(block.bounds)]] = np.inf
            group = max(1, min(GROUP, block.bounds.shape[1] // (2 * neighbours)))
            kth = torch.from_numpy(_shrink(block.bounds, group)).kthvalue(neighbours, dim=1).values.numpy()
            # `neighbours` lower bounds are at most kth, so as many distances are at most kth plus the largest width.
            limits = _round_up(kth + block.row_widths + block.column_widths.max(initial=0))
            rows, columns = _where(block.bounds <= limits[:, None])
            crowded = np.bincount(rows, minlength=len(limits)) > neighbours + MAX_CANDIDATES
            if crowded.any():
                keep = ~crowded[rows]
                more = self._search(np.flatnonzero(crowded) + block.start, neighbours, own)
                rows = np.concatenate([rows[keep], more[0] - block.start])
                columns = np.concatenate([columns[keep], more[1]])
            rows += block.start
            squared = self.measure(rows, columns)
            order = np.lexsort((squared, rows))
            yield Pairs(block.start, len(limits), rows[order], columns[order], squared[order])

    def _search(self, rows: np.ndarray, neighbours: int, own: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        count = min(neighbours + 8, len(self.references) - (own is not None))
        centre = self.references.mean(dim=0)
        others = self.references - centre
        found = []
        for part in torch.from_numpy(rows).split(max(1, BLOCK_ENTRIES // len(others))):
            products = (self.queries[part] - centre) @ others.T
            squared = others.square().sum(dim=1) - 2 * products
            if own is not None:
                squared[torch.arange(len(part)), torch.from_numpy(own[part.numpy()])] = torch.inf
            found.append(squared.topk(count, dim=1, largest=False).indices)
        return np.repeat(rows, count), torch.cat(found).flatten().numpy()


@dataclass(frozen=True, eq=False)
class Block:
    """Rows `start` to `start` + b of the matrix, in units of 1/`square`.

    bounds: float32 [b, n], at most the truth; the truth is at most bounds + row_widths [b] + column_widths [n].
    """

    comparison: Comparison
    start: int
    bounds: np.ndarray
    row_widths: np.ndarray
    column_widths: np.ndarray
    square: float

    def find_closer(self, limits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns int64 [m] of the pairs with a squared distance below limits [b or 1, n or 1]."""
        scaled = limits * self.square
        rows, columns = _where(self.bounds < _round_up(scaled))
        limits, scaled = (np.broadcast_to(x, self.bounds.shape)[rows, columns] for x in (limits, scaled))
        highest = self.bounds[rows, columns] + self.row_widths[rows] + self.column_widths[columns]
        doubtful = np.flatnonzero(highest >= scaled)
        measured = self.comparison.measure(rows[doubtful] + self.start, columns[doubtful])
        keep = np.ones(len(rows), bool)
        keep[doubtful] = measured < limits[doubtful]
        return rows[keep], columns[keep]


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of the queries `start` to `start` + `count`, sorted by query, then by squared distance; each field [m]."""

    start: int
    count: int
    rows: np.ndarray
    columns: np.ndarray
    squared: np.ndarray

    @property
    def firsts(self) -> np.ndarray:
        """The first place of each query's pairs, int64 [count]."""
        return np.searchsorted(self.rows, np.arange(self.start, self.start + self.count))


def find_nearest_distances(queries: np.ndarray, references: np.ndarray) -> np.ndarray:
    """Euclidean distance of each query [q, d] to the nearest reference [n, d], float64 [q]; n is 1 or more."""
    if not len(queries):
        return np.empty(0)
    found = Comparison(to_points(queries), to_points(references)).find_nearest(1)
    return np.sqrt(np.concatenate([pairs.squared[pairs.firsts] for pairs in found]))


def to_points(features: np.ndarray) -> Tensor:
    """Features [n, d] of any float type as float64; ValueError for another shape or a value beyond MAX_FEATURE."""
    if features.ndim != 2:
        raise ValueError(f"features have shape {list(features.shape)}; allowed: [n, d]")
    points = torch.from_numpy(np.ascontiguousarray(features, dtype=np.float64))
    if not (points.abs() < MAX_FEATURE).all():
        raise ValueError("features hold values that are not finite, or too large to square")
    return points


def _shrink(bounds: np.ndarray, group: int) -> np.ndarray:
    """The smallest of each `group` entries of a row: far fewer entries, whose k-th smallest is an upper bound."""
    width = bounds.shape[1] // group
    if group == 1:
        return bounds
    least = bounds[:, :width]
    for part in range(1, group):
        least = np.minimum(least, bounds[:, part * width : (part + 1) * width])
    return least


def _round_up(values: np.ndarray) -> np.ndarray:
    return np.nextafter(values.astype(np.float32), np.float32(np.inf))


def _where(chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """np.nonzero of a matrix, several times faster where few entries are chosen."""
    rows, columns = np.divmod(np.flatnonzero(chosen), chosen.shape[1])
    return rows, columns
