"""The selection bias of the arm that validation picked: how much wider limits must be, as the same networks are judged.

Validation compares the networks that the test images then judge. The best of m equally good arms is picked partly
because its seeds were lucky, and the same luck shows on the test images. Let w be the share of a difference's variance
that comes from the picked arm's seeds, and rho the correlation of their luck with the arm's validation score. If the
other m - 1 arms are as good, the difference in standard errors is not a normal variable Z but

    sqrt(1 - w rho^2) Z  +  sqrt(w) rho M,      M the largest of m independent normal variables,

and the tail area at which an interval's limit holds again follows from P(that > z) = the wanted tail. It is smaller the
more seeds vary, the more validation images there are, and the more arms lie close; without rivals it is unchanged.

The module does not know arms, metrics or decisions.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

FloatArray = npt.NDArray[np.float64]

# Nodes and range of the quadrature over M; the integrand is smooth.
_NODES = 200
_FARTHEST = 6.0
# A leak above this is treated as 1, where the integrand becomes a step.
_FULL_LEAK = 0.99


@lru_cache(maxsize=4096)
def adjust_tail(tail: float, rivals: int, leak: float) -> float:
    """The tail area to use in place of `tail` where the arm was picked among `rivals` others that are as good.

    leak: w rho^2 in [0, 1]. ValueError for a value outside its range.
    """
    if not 0.0 < tail < 0.5 or rivals < 0 or not 0.0 <= leak <= 1.0:
        raise ValueError(f"tail {tail}, {rivals} rivals and leak {leak} are not all in range")
    if rivals == 0 or leak == 0.0:
        return tail
    least, most = tail / (4.0 * (rivals + 1)), tail
    z = brentq(lambda z: _exceed(z, rivals + 1, leak) - tail, -ndtri(most), -ndtri(least), xtol=1e-9)
    return float(ndtr(-z))


def measure_leak(seed_variance: float, image_variance: float, total: float, images_ratio: float) -> float:
    """w rho^2 of a picked arm in a difference of variance `total`.

    seed_variance: variance of the arm's mean over seeds. image_variance: the difference's variance from the test
    images; one arm on validation has half of it, times `images_ratio` (test images per validation image).
    """
    if seed_variance <= 0.0 or total <= 0.0:
        return 0.0
    rho2 = seed_variance / (seed_variance + 0.5 * image_variance * images_ratio)
    return min(1.0, seed_variance / total * rho2)


def _exceed(z: float, arms: int, leak: float) -> float:
    """P(sqrt(1 - leak) Z + sqrt(leak) M > z), M the largest of `arms` standard normal variables."""
    if leak > _FULL_LEAK:
        return float(1.0 - ndtr(z) ** arms)
    m, weights = _weigh_largest(arms)
    return float(np.sum(weights * ndtr((leak**0.5 * m - z) / (1.0 - leak) ** 0.5)))


@lru_cache
def _weigh_largest(arms: int) -> tuple[FloatArray, FloatArray]:
    """Values of M, the largest of `arms` standard normal variables, and their weights in an integral over it."""
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    m = nodes * _FARTHEST
    density = arms * ndtr(m) ** (arms - 1) * np.exp(-(m**2) / 2) / (2 * np.pi) ** 0.5
    return m, weights * density * _FARTHEST
