"""Precision, recall, density and coverage: do two sets of features fill the same region?

A set's region is the union of balls around its points, each as large as the distance to the k-th nearest
other point. Precision asks whether generated points lie in the real region (are they plausible?), recall
whether real points lie in the generated one (is nothing missing?): Kynkäänniemi et al. 2019. Density and
coverage (Naeem et al. 2020) use the real balls only, which an outlier among the generated cannot inflate.
All four depend on both counts: compare values of equal counts. It knows nothing of images or networks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

NEIGHBOURS = 5
ENTRIES = 2**21  # of a block of the distance matrix: 16 MB of float64
PAIRS = 2**16  # measured again at a time


@dataclass(frozen=True, eq=False)
class Manifold:
    """Points and their balls.

    points: float64 [n, d]. squared_radii: float64 [n], of the distance to the k-th nearest other point.
    neighbours: k.
    """

    points: Tensor
    squared_radii: Tensor
    neighbours: int


@dataclass(frozen=True)
class Overlap:
    """How two regions agree; precision, recall and coverage in 0..1, density at least 0 and possibly above 1.

    precision: share of generated points in at least one real ball. recall: share of real points in at least
    one generated ball. density: real balls around a generated point, mean, divided by k; about 1 if both sets
    come from one distribution. coverage: share of real balls that hold at least one generated point.
    """

    precision: float
    recall: float
    density: float
    coverage: float


def fit_manifold(features: np.ndarray, neighbours: int = NEIGHBOURS) -> Manifold:
    """Balls around features [n, d] of any float type; ValueError unless 1 <= neighbours < n."""
    if not 1 <= neighbours < len(features):
        raise ValueError(f"{len(features)} points have no {neighbours} neighbours each; allowed: 1 to n - 1")
    points = torch.from_numpy(np.ascontiguousarray(features, dtype=np.float64))
    radii = []
    for start, block in _split(points, len(points)):
        squared = _multiply(block, points)
        rows = torch.arange(len(block))
        squared[rows, rows + start] = torch.inf  # a point is not its own neighbour
        nearest = squared.topk(neighbours, dim=1, largest=False).indices
        # The expanded square loses digits near zero: measure the chosen ones again.
        exact = [_measure(block, points[column]) for column in nearest.T]
        radii.append(torch.stack(exact).amax(dim=0))
    return Manifold(points, torch.cat(radii), neighbours)


def compare_manifolds(real: Manifold, generated: Manifold) -> Overlap:
    """The four numbers; a point on a ball's surface is outside. ValueError for features of different sizes."""
    if real.points.shape[1] != generated.points.shape[1]:
        raise ValueError(
            f"features have {real.points.shape[1]} and {generated.points.shape[1]} dimensions; they must be equal"
        )
    precise, balls = 0, 0
    recalled = torch.zeros(len(real.points), dtype=torch.bool)
    covered = torch.zeros(len(real.points), dtype=torch.bool)
    for start, block in _split(generated.points, len(real.points)):
        squared = _multiply(block, real.points)
        own_radii = generated.squared_radii[start : start + len(block), None]
        in_real = _find_inside(squared, real.squared_radii[None], block, real.points)
        in_generated = _find_inside(squared, own_radii, block, real.points)
        precise += int(in_real.any(dim=1).sum())
        balls += int(in_real.sum())
        covered |= in_real.any(dim=0)
        recalled |= in_generated.any(dim=0)
    count = len(generated.points)
    return Overlap(
        precision=precise / count,
        recall=float(recalled.double().mean()),
        density=balls / (real.neighbours * count),
        coverage=float(covered.double().mean()),
    )


def _split(points: Tensor, width: int) -> list[tuple[int, Tensor]]:
    """Blocks of rows, each with its start, so that a block of distances to `width` points stays small."""
    rows = max(1, ENTRIES // width)
    return [(start, points[start : start + rows]) for start in range(0, len(points), rows)]


def _multiply(block: Tensor, points: Tensor) -> Tensor:
    """Squared distances [b, n] by one matrix product; wrong by up to `_bound_error` each."""
    products = torch.addmm(points.square().sum(dim=1)[None], block, points.T, alpha=-2)
    return products.add_(block.square().sum(dim=1, keepdim=True))


def _measure(a: Tensor, b: Tensor) -> Tensor:
    """Squared distances [m] of rows, by differences: exactly 0 for equal rows and the same both ways round."""
    return (a - b).square().sum(dim=1)


def _bound_error(block: Tensor, points: Tensor) -> float:
    """No entry of `_multiply` is further from the truth than this: d + 4 roundings of values up to the norms."""
    largest = float(block.square().sum(dim=1).max() + points.square().sum(dim=1).max())
    return 4 * (points.shape[1] + 4) * torch.finfo(torch.float64).eps * largest


def _find_inside(squared: Tensor, limits: Tensor, block: Tensor, points: Tensor) -> Tensor:
    """bool [b, n]: distance < limit, decided by differences wherever the product cannot tell.

    Ties are common and not an accident: a copy of a real image lies exactly on the surface of another's ball.
    """
    margin = _bound_error(block, points)
    inside = squared < limits - margin
    doubtful = (squared < limits + margin) & ~inside
    limits = limits.expand_as(squared)
    for pairs in doubtful.nonzero().split(PAIRS):
        row, column = pairs[:, 0], pairs[:, 1]
        inside[row, column] = _measure(block[row], points[column]) < limits[row, column]
    return inside
