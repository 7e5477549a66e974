"""Exact comparisons of squared distances between features, at the price of float32 matrix products.

A product in float32 gives every squared distance with a known error bound; whatever the bound cannot decide is
measured again by differences in float64. So the answers are those of the definition, ties included, while the
work is that of a fast product. It knows nothing of what is compared or why.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

ENTRIES = 2**20  # of a block of the distance matrix: 4 MB of float32
PAIRS = 2**13  # measured again at a time
GROUP = 16  # columns whose smallest entry stands for them while the k-th smallest is looked for
CROWD = 64  # candidates of a row beyond which it is looked up in float64 instead
LARGEST = 1e150  # features, whose squares float64 still holds


@dataclass(frozen=True, eq=False)
class Comparison:
    """All pairs of queries [q, d] and references [n, d], both float64.

    `blocks` bounds their squared distances, `measure` has them exactly: differences, squared and summed in float64,
    so 0 for equal rows and the same both ways round.
    """

    queries: Tensor
    references: Tensor

    @cached_property
    def _sides(self) -> tuple[tuple[Tensor, Tensor, Tensor], tuple[Tensor, Tensor, Tensor], float]:
        """Per side: centred, scaled points float32 and what to add for a lower bound and for the width; the scale.

        Let u = 2^-24 and N = |x|² + |y|². Rounding x and y changes |x - y|² by at most 4uN, the product of d terms
        is wrong by at most duN, rounding the norms and the sums by 6uN: so (d + 16)uN bounds it all. Scaling keeps
        squares from overflowing; what underflows is covered by the constant. It holds as long as nobody lets torch
        multiply float32 matrices in fewer digits (`torch.set_float32_matmul_precision`).
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
        """Consecutive rows of the matrix of squared distances, bounded from below and from above."""
        (points, lower, width), (others, other_lower, other_width), square = self._sides
        rows = max(1, ENTRIES // max(1, len(others)))
        for start in range(0, len(points), rows):
            end = min(start + rows, len(points))
            bounds = torch.addmm(other_lower[None], points[start:end], others.T, alpha=-2)
            bounds.add_(lower[start:end, None])
            yield Block(self, start, bounds.numpy(), width[start:end].numpy(), other_width.numpy(), square)

    def measure(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """Squared distances float64 [m] of m pairs."""
        pairs = zip(torch.from_numpy(rows).split(PAIRS), torch.from_numpy(columns).split(PAIRS), strict=True)
        parts = [(self.queries[row] - self.references[column]).square().sum(dim=1) for row, column in pairs]
        return torch.cat(parts).numpy() if parts else np.empty(0)

    def find_nearest(self, neighbours: int, own: np.ndarray | None = None) -> Iterator[Pairs]:
        """In order of the queries, each one's nearest references and perhaps some more, measured.

        At least `neighbours` of each query, and all that lie as far as the last of those, save in a crowd: of more
        than CROWD references that float32 cannot tell apart, only the nearest `neighbours` + 8 by float64.
        `own` [q] is the reference that each query itself is and that is no neighbour of it. `neighbours` must not
        exceed the references that are left.
        """
        for block in self.blocks():
            if own is not None:
                block.bounds[np.arange(len(block.bounds)), own[block.start : block.start + len(block.bounds)]] = np.inf
            group = max(1, min(GROUP, block.bounds.shape[1] // (2 * neighbours)))
            kth = torch.from_numpy(_shrink(block.bounds, group)).kthvalue(neighbours, dim=1).values.numpy()
            # `neighbours` entries are at most kth, so as many distances are at most kth plus the widest gap.
            limits = _round_up(kth + block.row_widths + block.column_widths.max(initial=0))
            rows, columns = _where(block.bounds <= limits[:, None])
            crowded = np.bincount(rows, minlength=len(limits)) > neighbours + CROWD
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
        for part in torch.from_numpy(rows).split(max(1, ENTRIES // len(others))):
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
        """Rows and columns int64 [m] of the pairs whose squared distance is below limits [b or 1, n or 1]."""
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
    """Pairs of queries `start` to `start` + `count`, in order of query and then of squared distance, each [m]."""

    start: int
    count: int
    rows: np.ndarray
    columns: np.ndarray
    squared: np.ndarray

    @property
    def firsts(self) -> np.ndarray:
        """Where each query's pairs begin, int64 [count]."""
        return np.searchsorted(self.rows, np.arange(self.start, self.start + self.count))


def find_nearest_distances(queries: np.ndarray, references: np.ndarray) -> np.ndarray:
    """Euclidean distance of each query [q, d] to the nearest reference [n, d], float64 [q]; n is 1 or more."""
    if not len(queries):
        return np.empty(0)
    found = Comparison(to_points(queries), to_points(references)).find_nearest(1)
    return np.sqrt(np.concatenate([pairs.squared[pairs.firsts] for pairs in found]))


def to_points(features: np.ndarray) -> Tensor:
    """Features [n, d] of any float type as float64; ValueError for another shape or a value beyond LARGEST."""
    if features.ndim != 2:
        raise ValueError(f"features have shape {list(features.shape)}; allowed: [n, d]")
    points = torch.from_numpy(np.ascontiguousarray(features, dtype=np.float64))
    if not (points.abs() < LARGEST).all():
        raise ValueError("features hold values that are not finite, or too large to square")
    return points


def _shrink(bounds: np.ndarray, group: int) -> np.ndarray:
    """The least of each `group` entries of a row: enough for an upper bound of the k-th smallest, and far fewer."""
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
    """np.nonzero of a matrix, several times faster where little is chosen."""
    rows, columns = np.divmod(np.flatnonzero(chosen), chosen.shape[1])
    return rows, columns
