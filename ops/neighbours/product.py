"""Squared distances by one matrix product, and how wrong they can be.

With a column of half squared norms appended to the references, one product gives |r|²/2 - q·r: half the squared
distance of q and r, less a constant of the query. It is wrong because numbers were rounded on the way: to float32
when the centre was subtracted, to bf16 if the product is made of that, and in its sums. Rounding a point moves it by a
length that is measured here, and moves distances by no more; the sums are bounded by their number of terms. So a
limit can be given that no nearer neighbour exceeds, and whatever lies below it is measured again by differences.
Where too much lies below it, a finer precision can tell more: bf16, fp32, fp64.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

NEVER = 2.0**123  # what the product gives for a pair that does not count
GROUP = 32  # columns whose smallest product is looked at first
_multiplying = threading.Lock()
_HALVES = {"bf16": 3, "fp32": 1, "fp64": 1}  # columns: three bf16 numbers hold the 24 digits of one float32
_WHOLE = {"bf16": 32, "fp32": 1, "fp64": 1}  # columns are filled up; without, bf16 takes twice as long


@dataclass(frozen=True, eq=False)
class Points:
    """Rounded, centred rows as a factor of the product.

    factors: float32 (float64 for fp64) [p, d + columns]. norms: float64 [p] of the rounded rows. moved: float64 [p],
    by how much at most each row was moved.
    """

    factors: Tensor
    norms: np.ndarray
    moved: np.ndarray


@dataclass(frozen=True, eq=False)
class Slab:
    """References ready to be multiplied: `count` rows from number `start` on, padded to whole groups.

    factors: float32 (float64 for fp64) [p, d + columns]. radius: the largest norm. moved: by how much at most a row
    was moved.
    """

    start: int
    count: int
    factors: Tensor
    radius: float
    moved: float
    precision: str


def prepare_queries(rows: Tensor, centre: Tensor, precision: str) -> Points:
    """The left factor of float32 rows [b, d]."""
    points, norms, moved = _round(rows, centre, precision)
    width = points.shape[1]
    factors = torch.zeros(len(rows), count_columns(width, precision), dtype=points.dtype)
    torch.neg(points, out=factors[:, :width])
    factors[:, width : width + _HALVES[precision]] = 1
    return Points(factors, norms.double().numpy(), moved.double().numpy())


def count_columns(width: int, precision: str) -> int:
    """Columns of the factors of rows of that width."""
    return -(-(width + _HALVES[precision]) // _WHOLE[precision]) * _WHOLE[precision]


def allocate_slab(rows: int, width: int, precision: str) -> Tensor:
    """Room for the factors of so many references, in whole groups; all are NEVER near."""
    shape = -(-rows // GROUP) * GROUP, count_columns(width, precision)
    factors = torch.zeros(shape, dtype=torch.float64 if precision == "fp64" else torch.float32)
    factors[:, width] = NEVER
    return factors


def fill_slab(factors: Tensor, rows: Tensor, centre: Tensor, precision: str) -> tuple[float, float]:
    """Write the right factor of rows [p, d]; returns the largest norm and by how much at most a row was moved."""
    points, norms, moved = _round(rows, centre, precision)
    width = points.shape[1]
    factors[:, :width] = points
    half = norms.square() / 2
    for column in range(width, width + _HALVES[precision]):
        part = half.bfloat16().float() if precision == "bf16" else half
        factors[:, column] = part
        half = half - part
    return float(norms.max()), float(moved.max())


class Limits:
    """Products that a query's neighbours cannot exceed: what is above the limit is certainly not among them."""

    def __init__(self, queries: Points, slab: Slab) -> None:
        terms = queries.factors.shape[1] + 8
        # Twice the textbook bound for sums of that many terms (Higham 2002, eq. 3.5), also of the norms; the last
        # summand is what hardware loses that takes the smallest numbers for zero.
        self._dtype = slab.factors.numpy().dtype
        self._error = terms * _rounding(slab.precision) * (queries.norms + slab.radius) ** 2 + terms * 2.0**-120
        self._squares = queries.norms**2
        self._moved = queries.moved + slab.moved

    def of_products(self, products: np.ndarray) -> np.ndarray:
        """From a product [b] that as many pairs reach as neighbours are wanted; [b]."""
        rounded = np.sqrt(np.maximum(self._squares + 2 * (products + self._error), 0))
        return self.of_distances(rounded + self._moved)

    def of_distances(self, distances: np.ndarray) -> np.ndarray:
        """From a distance [b] that as many pairs reach, inf for none; [b] of the type of the products."""
        # Distances are compared as float32: what rounds to the same must not be lost.
        reach = np.minimum(distances.astype(np.float64), 1e18) * (1 + 2.0**-22) + self._moved
        limits = np.minimum((reach**2 - self._squares) / 2 + self._error, NEVER / 2)
        return np.nextafter(limits.astype(self._dtype), self._dtype.type(np.inf))


@contextmanager
def multiply_in(precision: str) -> Iterator[None]:
    """Let torch multiply float32 matrices in float32, or in bf16 (their entries are that already; sums are float32).

    The setting is the process's, so one search multiplies at a time, and the setting of before comes back.
    """
    matmul = torch.backends.mkldnn.matmul  # type: ignore[attr-defined]
    with _multiplying:
        before = matmul.fp32_precision
        matmul.fp32_precision = "bf16" if precision == "bf16" else "ieee"
        try:
            yield
        finally:
            matmul.fp32_precision = before


def _rounding(precision: str) -> float:
    """Twice the unit roundoff of sums, and of the subtraction of the centre."""
    return 2.0**-52 if precision == "fp64" else 2.0**-23


def _round(rows: Tensor, centre: Tensor, precision: str) -> tuple[Tensor, Tensor, Tensor]:
    """Centred, rounded rows; their norms [p]; by how much each was moved [p], subtraction of the centre included."""
    points = rows.double() - centre if precision == "fp64" else rows - centre
    norms = torch.linalg.vector_norm(points, dim=1)
    # The second summand is what a norm can lose in squares that are too small for float32.
    moved = norms * _rounding(precision) + points.shape[1] ** 0.5 * 2.0**-60
    if precision == "bf16":
        rounded = points.bfloat16().float()
        distance = torch.linalg.vector_norm(points.sub_(rounded), dim=1)
        moved += distance * (1 + points.shape[1] * 2.0**-23)
        points, norms = rounded, torch.linalg.vector_norm(rounded, dim=1)
    return points, norms, moved
