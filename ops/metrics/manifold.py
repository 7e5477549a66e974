"""Precision, recall, density and coverage: do two sets of features fill the same region?

A set's region is the union of balls around its points, each as large as the distance to the k-th nearest
other point. Precision is the share of generated points in the real region (are they plausible?), recall the
share of real points in the generated one (is nothing missing?): Kynkäänniemi et al. 2019. Density and
coverage (Naeem et al. 2020) use the real balls only, which outliers among generated points cannot enlarge.
All four depend on both counts: compare values of equal counts. It knows nothing of images or networks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ops.metrics.distances import Comparison, to_points

NEIGHBOURS = 5


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
    """How much two regions overlap; precision, recall and coverage in 0..1, density at least 0 and possibly above 1.

    precision: share of generated points in at least one real ball. recall: share of real points in at least
    one generated ball. density: real balls around a generated point, mean, divided by k; about 1 if both sets
    come from one distribution. coverage: share of real balls that hold at least one generated point.
    """

    precision: float
    recall: float
    density: float
    coverage: float


@dataclass(frozen=True, eq=False)
class Membership:
    """Each point's contribution to an `Overlap`.

    balls: int64 [q], real balls around each generated point. neighbours: k of the real region.
    recalled: bool [n], real points in a generated ball. covered: bool [n], real balls that hold a generated point.
    """

    balls: np.ndarray
    recalled: np.ndarray
    covered: np.ndarray
    neighbours: int

    @property
    def precise(self) -> np.ndarray:
        """bool [q]: generated points in a real ball."""
        return self.balls > 0

    def summarise(self) -> Overlap:
        """The four numbers of the whole sets."""
        return Overlap(
            precision=float(self.precise.mean()),
            recall=float(self.recalled.mean()),
            density=float(self.balls.sum() / (self.neighbours * len(self.balls))),
            coverage=float(self.covered.mean()),
        )


def fit_manifold(features: np.ndarray, neighbours: int = NEIGHBOURS) -> Manifold:
    """Balls around finite features [n, d] of any float type; ValueError unless 1 <= neighbours < n."""
    if not 1 <= neighbours < len(features):
        raise ValueError(f"{len(features)} points have no {neighbours} neighbours each; allowed: 1 to n - 1")
    points = to_points(features)
    comparison = Comparison(points, points)
    radii = [
        pairs.squared[pairs.firsts + neighbours - 1]
        for pairs in comparison.find_nearest(neighbours, own=np.arange(len(points)))
    ]
    return Manifold(points, torch.from_numpy(np.concatenate(radii)), neighbours)


def find_members(real: Manifold, generated: Manifold) -> Membership:
    """Which points lie in which balls; a point on the surface is outside. ValueError for features of different sizes.

    Ties are common: a copy of a real image lies exactly on the surface of another real image's ball.
    """
    if real.points.shape[1] != generated.points.shape[1]:
        raise ValueError(
            f"features have {real.points.shape[1]} and {generated.points.shape[1]} dimensions; they must be equal"
        )
    balls = np.zeros(len(generated.points), np.int64)
    recalled, covered = np.zeros((2, len(real.points)), bool)
    real_radii, generated_radii = real.squared_radii.numpy(), generated.squared_radii.numpy()
    for block in Comparison(generated.points, real.points).blocks():
        end = block.start + len(block.bounds)
        rows, columns = block.find_closer(real_radii[None])
        balls[block.start : end] = np.bincount(rows, minlength=len(block.bounds))
        covered[columns] = True
        recalled[block.find_closer(generated_radii[block.start : end, None])[1]] = True
    return Membership(balls, recalled, covered, real.neighbours)


def compare_manifolds(real: Manifold, generated: Manifold) -> Overlap:
    """The four numbers; ties and errors as in `find_members`."""
    return find_members(real, generated).summarise()
