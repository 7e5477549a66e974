"""The Fréchet distance between two sets of features, each modelled as a Gaussian.

It is the formula behind FID (Heusel et al. 2017) without FID's network. The number depends on the extractor of the
features, so results carry its name (FD_scorer) and are never called FID. It is biased upward, more for fewer features:
compare values of equal counts only. This module knows nothing of images, networks or labels.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from ops.statistics.intervals import Estimate


@dataclass(frozen=True, eq=False)
class Gaussian:
    """The Gaussian of a set of features.

    mean: float64 [d]. covariance: float64 [d, d], the unbiased estimate (divisor n - 1), which is singular
    when n <= d. count: n.
    """

    mean: np.ndarray
    covariance: np.ndarray
    count: int

    @cached_property
    def spectrum(self) -> tuple[Tensor, Tensor]:
        """Square roots of the covariance's nonzero eigenvalues, float64 [r], and their eigenvectors [d, r]."""
        values, vectors = torch.linalg.eigh(torch.from_numpy(self.covariance))
        # An eigenvalue of 0 is computed as about ±1e-17; its square root, 3e-9, would not be small.
        used = values > len(values) * torch.finfo(torch.float64).eps * values[-1].clamp(min=0)
        return values[used].sqrt(), vectors[:, used]

    @cached_property
    def root(self) -> np.ndarray:
        """The symmetric square root of the covariance, float64 [d, d]."""
        roots, vectors = self.spectrum
        return ((vectors * roots) @ vectors.T).numpy()


def fit_gaussian(features: np.ndarray, weights: np.ndarray | None = None) -> Gaussian:
    """The Gaussian of features [n, d] of any float type; ValueError for n < 2 or a value that is not finite.

    weights: float [n], above 0 of two rows or more: as if a row stood for so many of its sort. Without bias if the rows
    are independent draws, however they are weighted.
    """
    if features.ndim != 2 or len(features) < 2:
        raise ValueError(f"features have shape {list(features.shape)}; a Gaussian needs [n, d] with n at least 2")
    rows = torch.from_numpy(np.ascontiguousarray(features, dtype=np.float64))
    if weights is None:
        mean = rows.mean(dim=0)
        centred = rows - mean
        covariance = centred.T @ centred / (len(rows) - 1)
    else:
        shares = torch.from_numpy(np.asarray(weights, dtype=np.float64) / np.sum(weights))[:, None]
        mean = (shares * rows).sum(dim=0)
        centred = rows - mean
        covariance = centred.T @ (shares * centred) / (1 - shares.square().sum())
    if not torch.isfinite(covariance).all():
        raise ValueError("features hold values that are not finite, or too large to square")
    return Gaussian(mean.numpy(), covariance.numpy(), len(rows))


def frechet_distance(a: Gaussian, b: Gaussian) -> float:
    """|μa - μb|² + Tr(A + B - 2 (A^½ B A^½)^½), at least 0, in squared units of the features.

    Dowson & Landau 1982. The last trace is the sum of the singular values of A^½ B^½. It equals the one by eigenvalues
    of A^½ B A^½, but nothing is squared first, so singular covariances (n <= d) lose no digits. A general matrix root,
    which would return complex numbers there, is not needed. Raises ValueError for a count below 2 or Gaussians of
    different sizes d.

    >>> features = np.random.default_rng(0).standard_normal((500, 4))
    >>> here, moved = fit_gaussian(features), fit_gaussian(features + 3)  # 4 means move by 3, no covariance
    >>> round(frechet_distance(here, moved), 6)
    36.0
    """
    _check(a, b)
    return _sum_up(a, b, torch.linalg.svdvals(torch.from_numpy(a.root @ b.root)))


def estimate_frechet(real: np.ndarray, generated: np.ndarray) -> Estimate:
    """`frechet_distance` of two sets of features [n, d] and [q, d], with each image's influence.

    The derivative with respect to A is I - T, where T = A^-½ (A^½ B A^½)^½ A^-½ maps one Gaussian to the other. So the
    influence of a centred image x is 2 (μa - μb)·x + xᵀ(I - T)x. Where a covariance is singular (n <= d) the inverse is
    that on its range, which contains all of its images. Raises as `fit_gaussian` and `frechet_distance` do.
    """
    a, b = fit_gaussian(real), fit_gaussian(generated)
    _check(a, b)
    left, shared, right = torch.linalg.svd(torch.from_numpy(a.root @ b.root))
    influences = []
    for features, own, other, vectors in ((real, a, b, left), (generated, b, a, right.T)):
        roots, own_vectors = own.spectrum
        # half = A^-½ (A^½ B A^½)^¼, so that half halfᵀ = T.
        half = (own_vectors / roots) @ (own_vectors.T @ (vectors * shared.sqrt()))
        rows = torch.from_numpy(np.asarray(features, dtype=np.float64) - own.mean)
        shift = torch.from_numpy(own.mean - other.mean)
        stretch = rows.square().sum(dim=1) - (rows @ half).square().sum(dim=1)
        influence = 2 * rows @ shift + len(rows) / (len(rows) - 1) * stretch
        influences.append((influence - influence.mean()).numpy())
    return Estimate(_sum_up(a, b, shared), tuple(influences))


def _check(a: Gaussian, b: Gaussian) -> None:
    if min(a.count, b.count) < 2:
        raise ValueError(f"the Gaussians are of {a.count} and {b.count} features; at least 2 are needed")
    if a.mean.shape != b.mean.shape:
        raise ValueError(f"the Gaussians have {len(a.mean)} and {len(b.mean)} dimensions; they must be equal")


def _sum_up(a: Gaussian, b: Gaussian, shared: Tensor) -> float:
    """The distance, given the singular values of A^½ B^½."""
    shift = np.square(a.mean - b.mean).sum()
    return max(0.0, float(shift + np.trace(a.covariance) + np.trace(b.covariance) - 2 * float(shared.sum())))
