"""The kernel distance: the unbiased squared maximum mean discrepancy with a cubic kernel.

It is the formula behind KID (Bińkowski et al. 2018), over all pairs instead of random subsets, so the same features
give the same number. Unlike the Fréchet distance it has no bias from the number of images. Its expectation for equal
distributions is 0, so it can be below 0. The number depends on the extractor and on the features' scale, so results
carry the extractor's name (KID_scorer). This module knows nothing of images, networks or labels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ops.metrics.distances import to_points
from ops.statistics.intervals import Estimate

BLOCK = 512  # rows and columns of a block of the kernel matrix, which stays in the cache


@dataclass(frozen=True, eq=False)
class KernelSet:
    """Points float64 [n, d] and, for each, the sum of its kernel values with all others, float64 [n]."""

    points: Tensor
    sums: Tensor


def fit_kernel(features: np.ndarray) -> KernelSet:
    """The set of finite features [n, d] of any float type; ValueError for fewer than 3."""
    points = to_points(features)
    if len(points) < 3:
        raise ValueError(f"there are {len(points)} features; a kernel distance needs at least 3")
    return KernelSet(points, _sum_within(points))


def estimate_kernel_distance(a: KernelSet, b: KernelSet) -> Estimate:
    """MMD² of two sets of features [n, d] and [q, d] with k(x, y) = (x·y / d + 1)³, with each image's influence.

    Σ k(x, x') / n(n - 1) + Σ k(y, y') / q(q - 1) - 2 Σ k(x, y) / nq, without the pairs of an image with itself
    (Gretton et al. 2012, eq. 3). Influences are those of the exact jackknife, from the number without each image. The
    number is unbiased, so its interval covers the distance between the sources. ValueError for features of different
    sizes.
    """
    if a.points.shape[1] != b.points.shape[1]:
        raise ValueError(f"features have {a.points.shape[1]} and {b.points.shape[1]} dimensions; they must be equal")
    across = _sum_between(a.points, b.points)
    value = sum(float(side.sums.mean()) / (len(side.sums) - 1) for side in (a, b))
    value -= 2 * float(across[0].mean()) / len(b.sums)
    influences = []
    for side, sums, others in ((a, across[0], len(b.sums)), (b, across[1], len(a.sums))):
        count = len(side.sums)
        within = (side.sums.sum() - 2 * side.sums) / ((count - 1) * (count - 2))
        without = (within - 2 * (sums.sum() - sums) / ((count - 1) * others)).numpy()
        influences.append((count - 1) * (without.mean() - without))
    return Estimate(value, tuple(influences))


def _sum_within(points: Tensor) -> Tensor:
    """Σ over the others of k(x_i, x_j), float64 [n]; each pair is computed once."""
    sums = torch.zeros(len(points), dtype=torch.float64)
    for start in range(0, len(points), BLOCK):
        rows = points[start : start + BLOCK]
        own = _compute(rows, rows)
        sums[start : start + BLOCK] += own.fill_diagonal_(0).sum(dim=1)
        for other in range(start + BLOCK, len(points), BLOCK):
            values = _compute(rows, points[other : other + BLOCK])
            sums[start : start + BLOCK] += values.sum(dim=1)
            sums[other : other + BLOCK] += values.sum(dim=0)
    return sums


def _sum_between(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Σ_j k(x_i, y_j) for each i, float64 [n], and Σ_i for each j, float64 [q]."""
    by_x, by_y = torch.zeros(len(x), dtype=torch.float64), torch.zeros(len(y), dtype=torch.float64)
    for start in range(0, len(x), BLOCK):
        for other in range(0, len(y), BLOCK):
            values = _compute(x[start : start + BLOCK], y[other : other + BLOCK])
            by_x[start : start + BLOCK] += values.sum(dim=1)
            by_y[other : other + BLOCK] += values.sum(dim=0)
    return by_x, by_y


def _compute(x: Tensor, y: Tensor) -> Tensor:
    products = torch.addmm(torch.ones(1, 1, dtype=x.dtype), x, y.T, alpha=1 / x.shape[1])
    return products.square().mul_(products)
