"""The energy distance between two sets of features: unbiased, without a parameter, and bounded in its growth.

It is 2 E|x - y| - E|x - x'| - E|y - y'| (Székely and Rizzo 2013), 0 only for equal distributions. Unlike the Fréchet
distance it needs no covariance, so a few dozen images are enough. Unlike the kernel distance with a cubic kernel it
grows no faster than the images move away. The number depends on the features' scale. This module knows nothing of
images, networks or labels.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ops.metrics.distances import to_points
from ops.statistics.intervals import Estimate

BLOCK = 1024  # rows of a block of the distance matrix


def estimate_energy_distance(a: np.ndarray, b: np.ndarray) -> Estimate:
    """The distance of two sets of features [n, d] and [q, d], any float type, with each image's influence.

    Pairs of an image with itself are left out, so the expectation for equal distributions is 0 for any number of
    images, and the number may be below 0. Influences are those of the exact jackknife. ValueError for fewer than 3
    features on a side, or for features of different sizes.
    """
    x, y = to_points(a), to_points(b)
    if min(len(x), len(y)) < 3:
        raise ValueError(f"there are {len(x)} and {len(y)} features; an energy distance needs at least 3 of each")
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"features have {x.shape[1]} and {y.shape[1]} dimensions; they must be equal")
    across = _sum_rows(x, y), _sum_rows(y, x)
    within = _sum_rows(x, x), _sum_rows(y, y)
    value = 2 * float(across[0].sum()) / (len(x) * len(y))
    value -= sum(float(sums.sum()) / (len(sums) * (len(sums) - 1)) for sums in within)
    influences = []
    for own, sums, others in ((within[0], across[0], len(y)), (within[1], across[1], len(x))):
        # The terms that change when one image is left out.
        n = len(own)
        inside = (own.sum() - 2 * own) / ((n - 1) * (n - 2))
        without = (2 * (sums.sum() - sums) / ((n - 1) * others) - inside).numpy()
        influences.append((n - 1) * (without.mean() - without))
    return Estimate(value, tuple(influences))


def _sum_rows(x: Tensor, y: Tensor) -> Tensor:
    """Σ_j |x_i - y_j| for each i, float64 [n]."""
    parts = [torch.cdist(part, y, compute_mode="donot_use_mm_for_euclid_dist").sum(1) for part in x.split(BLOCK)]
    return torch.cat(parts)
