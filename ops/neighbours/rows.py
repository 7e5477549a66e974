"""Rows of numbers wherever they lie: a tensor, an array, a memory map, all of it or some members.

A search reads them in parts, as float32; it never copies the whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

Source = Tensor | np.ndarray
LARGEST = 1e12  # squares and sums of them stay far from float32's end
PART = 1 << 20  # entries that are read at once


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows [n, d] of any float type, or those at `members` int64 [n], in that order."""

    source: Source
    members: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.source) if self.members is None else len(self.members)

    @property
    def width(self) -> int:
        return int(self.source.shape[1])

    def read(self, start: int, stop: int) -> Tensor:
        """float32 [stop - start, d]."""
        return self.take(np.arange(start, stop)) if self.members is not None else _to_float(self.source[start:stop])

    def take(self, index: np.ndarray) -> Tensor:
        """float32 [len(index), d]."""
        index = index if self.members is None else self.members[index]
        if isinstance(self.source, Tensor):
            return _to_float(self.source.index_select(0, torch.from_numpy(index)))
        return _to_float(self.source[index])

    def select(self, index: np.ndarray) -> Rows:
        """The rows at `index`, not copied."""
        return Rows(self.source, index if self.members is None else self.members[index])

    def split(self) -> Iterator[Tensor]:
        """All rows, a bounded part at a time."""
        step = max(1, PART // max(1, self.width))
        for start in range(0, len(self), step):
            yield self.read(start, min(start + step, len(self)))


def check_rows(source: Source, what: str) -> None:
    """ValueError unless it is [n, d] of a float type, with finite values of at most LARGEST."""
    floating = source.is_floating_point() if isinstance(source, Tensor) else source.dtype.kind == "f"
    if source.ndim != 2 or source.shape[1] == 0 or not floating:
        raise ValueError(f"{what} are {source.dtype} {list(source.shape)}; allowed: floats [n, d] with d at least 1")
    for part in Rows(source).split():
        low, high = part.aminmax()
        if not (low >= -LARGEST and high <= LARGEST):  # also where one is not a number
            raise ValueError(f"{what} hold values that are not finite, or beyond ±{LARGEST:g}")


def find_centre(rows: Rows) -> Tensor:
    """The mean row, float32 [d]; zeros of no rows."""
    total = torch.zeros(rows.width, dtype=torch.float64)
    for part in rows.split():
        total += part.sum(dim=0)
    return (total / max(1, len(rows))).float()


def measure_pairs(a: Rows, b: Rows, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Distances float32 [p] of the pairs (a[rows], b[columns]): differences in float64, rounded once at the end."""
    distances = np.empty(len(rows), np.float32)
    step = max(1, PART // 8 // a.width)  # a part stays in the processor's cache
    for start in range(0, len(rows), step):
        pairs = slice(start, start + step)
        differences = a.take(rows[pairs]).double().sub_(b.take(columns[pairs]).double())
        distances[pairs] = torch.linalg.vector_norm(differences, dim=1).numpy()
    return distances


def _to_float(part: Source) -> Tensor:
    if isinstance(part, Tensor):
        return part.detach().float()
    return torch.from_numpy(np.require(part, np.float32, ["C", "W"]))  # torch warns of what it could not write to
