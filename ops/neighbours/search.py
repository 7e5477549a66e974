"""The exact nearest rows of one set for each row of another. It knows nothing of images, labels or thresholds.

Both sides are taken in blocks, so that memory stays bounded however many rows there are (beside the result).
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ops.machine.parallel import start_threads
from ops.machine.precision import resolve_precision
from ops.neighbours.product import Slab, allocate_slab, fill_slab, multiply_in, prepare_queries
from ops.neighbours.rows import PART, Rows, Source, check_rows, find_centre
from ops.neighbours.scan import Block, Nearest, scan

QUERIES = 1024  # in a block
SLAB = 1 << 24  # entries of references that are prepared at once: 64 MB
ROOM = 1 << 22  # neighbours that a block holds at most
NARROWEST = 64  # columns below which bf16 does not pay


def find_nearest(
    queries: Source, references: Source, k: int = 1, *, exclude_self: bool = False, precision: str = "auto"
) -> tuple[np.ndarray, np.ndarray]:
    """Euclidean distances float32 [n, k], ascending, and indices int64 [n, k] of each query's k nearest references.

    queries [n, d] and references [m, d] hold any float type, which is taken as float32. The distance of a pair is
    that of its differences in float64, rounded to float32; of equal distances the lower index comes first. With
    `exclude_self` both are the same set and row i is not its own neighbour. `precision` ("fp32", "bf16", or "auto"
    for what is faster here) is that of the products which find candidates: the result does not depend on it.

    ValueError for other shapes or types, a k that is below 1 or above the number of references, values that are not
    finite or beyond ±1e12.
    """
    check_rows(queries, "queries")
    if references is not queries:
        check_rows(references, "references")
    if queries.shape[1] != references.shape[1]:
        raise ValueError(f"queries have {queries.shape[1]} columns and references {references.shape[1]}")
    if exclude_self and len(queries) != len(references):
        raise ValueError(f"{len(queries)} queries and {len(references)} references are not the same set")
    if not 1 <= k <= len(references) - exclude_self:
        raise ValueError(f"k is {k}; {len(references) - exclude_self} references allow 1 to that many")
    asked = Rows(queries)
    nearest = Nearest.none(len(asked), k)
    selves = np.arange(len(asked)) if exclude_self else None
    ends = np.full(len(asked), len(references))
    search(asked, Rows(references), nearest, ends=ends, selves=selves, precision=precision)
    return nearest.distances, nearest.indices


def search(
    queries: Rows,
    references: Rows,
    nearest: Nearest,
    *,
    ends: np.ndarray,
    selves: np.ndarray | None = None,
    precision: str = "auto",
) -> None:
    """Bring `nearest` [n, k] up to date with the references before `ends` int64 [n] of each query.

    ends must not fall. selves: int64 [n] or None, a reference that does not count for the query. Rows must have been
    checked. As many query blocks are searched at a time as torch has threads.
    """
    chosen = _choose_precision(precision, queries.width)
    if not len(queries) or not len(references):
        return
    step = max(1, SLAB // queries.width)
    with start_threads() as pool:
        task = _Search(queries, references, nearest, ends, selves, find_centre(references), pool)
        for start in range(0, len(references), step):
            stop = min(start + step, len(references))
            numbers = np.arange(np.searchsorted(ends, start, side="right"), len(queries))
            if chosen == "bf16" and len(numbers):
                numbers, chosen = task.try_bf16(start, stop, numbers)
            for finer in ("fp32", "fp64"):
                if len(numbers):
                    numbers = task.scan(task.prepare(start, stop, finer), numbers)


@dataclass(frozen=True, eq=False)
class _Search:
    queries: Rows
    references: Rows
    nearest: Nearest
    ends: np.ndarray
    selves: np.ndarray | None
    centre: Tensor
    pool: ThreadPoolExecutor

    @property
    def step(self) -> int:
        """Queries in a block; fewer when each has very many neighbours."""
        return max(16, min(QUERIES, ROOM // self.nearest.distances.shape[1]))

    def prepare(self, start: int, stop: int, precision: str) -> Slab:
        """The references from `start` to `stop`."""
        width = self.references.width
        factors = allocate_slab(stop - start, width, precision)
        step = max(1, PART // width)
        radius = moved = 0.0
        for begin in range(start, stop, step):
            end = min(begin + step, stop)
            part, rows = factors[begin - start : end - start], self.references.read(begin, end)
            norm, error = fill_slab(part, rows, self.centre, precision)
            radius, moved = max(radius, norm), max(moved, error)
        return Slab(start, stop - start, factors, radius, moved, precision)

    def try_bf16(self, start: int, stop: int, numbers: np.ndarray) -> tuple[np.ndarray, str]:
        """Scan these queries as far as bf16 can tell the rows apart; returns the rest, and what to take from now on.

        A sample goes first: if a quarter of it is given up, the others are not tried.
        """
        slab = self.prepare(start, stop, "bf16")
        sample = np.zeros(len(numbers), bool)
        sample[:: -(-len(numbers) // self.step)] = True
        given_up = self.scan(slab, numbers[sample])
        if 4 * len(given_up) > np.count_nonzero(sample):
            return np.sort(np.concatenate([given_up, numbers[~sample]])), "fp32"
        return np.concatenate([given_up, self.scan(slab, numbers[~sample])]), "bf16"

    def scan(self, slab: Slab, numbers: np.ndarray) -> np.ndarray:
        """Search these queries in the slab; returns those that were given up."""

        def scan_block(some: np.ndarray) -> np.ndarray:
            points = prepare_queries(self.queries.take(some), self.centre, slab.precision)
            block = Block(some, points, self.ends[some], None if self.selves is None else self.selves[some])
            own = Nearest(self.nearest.distances[some], self.nearest.indices[some])
            given_up = scan(block, slab, self.queries, self.references, own, give_up=slab.precision != "fp64")
            self.nearest.distances[some], self.nearest.indices[some] = own.distances, own.indices
            return some[given_up]

        blocks = [numbers[start : start + self.step] for start in range(0, len(numbers), self.step)]
        with multiply_in(slab.precision):
            return np.concatenate([numbers[:0], *self.pool.map(scan_block, blocks)])


def _choose_precision(wanted: str, width: int) -> str:
    if wanted not in ("auto", "fp32", "bf16"):
        raise ValueError(f"precision is '{wanted}'; allowed: auto, fp32, bf16")
    if not torch.backends.mkldnn.is_available() or (wanted == "auto" and width < NARROWEST):
        return "fp32"
    return resolve_precision(wanted)
