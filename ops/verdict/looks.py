"""One look at the test images or two: how much of the error each look may spend.

Looking once after the first seeds, and again after more where the first look is undecided, gives chance two
opportunities. Bounds after O'Brien and Fleming (Biometrics 35, 1979) keep the total error: the first look must be very
clear, the second costs almost nothing. They assume that the first look has half of the information. It has more where
the same images are used again; the two looks then agree more often, and the bounds err on the safe side. The module
does not know what is tested.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri


@lru_cache
def find_bounds(looks: int, confidence: float) -> tuple[float, ...]:
    """Bounds of |z| at each look for a two-sided test of level 1 - confidence; 1 or 2 looks, ValueError for others.

    Two looks: c sqrt(2) and c, where P(|Z1| > c sqrt(2) or |Z2| > c) = 1 - confidence and corr(Z1, Z2) = sqrt(1/2).
    """
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence must lie between 0 and 1, not {confidence}")
    single = float(-ndtri((1.0 - confidence) / 2.0))
    if looks == 1:
        return (single,)
    if looks != 2:
        raise ValueError(f"looks must be 1 or 2, not {looks}")
    c = brentq(lambda c: _cross(c) - (1.0 - confidence), 0.5 * single, single + 2.0, xtol=1e-12)
    return (float(c) * 2**0.5, float(c))


def find_tail(look: int, looks: int, confidence: float) -> float:
    """The one-sided tail area of the bound at `look` (from 1), to be used with Student's t as well as with z."""
    if not 1 <= look <= looks:
        raise ValueError(f"look must lie between 1 and {looks}, not {look}")
    return float(ndtr(-find_bounds(looks, confidence)[look - 1]))


def _cross(c: float) -> float:
    """P(|Z1| > c sqrt(2) or |Z2| > c), by Gauss-Legendre over Z1; Z2 given Z1 = x is N(x, 1) / sqrt(2)."""
    nodes, weights = np.polynomial.legendre.leggauss(200)
    x = nodes * c * 2**0.5
    density = np.exp(-(x**2) / 2) / (2 * np.pi) ** 0.5
    inside = ndtr(c * 2**0.5 - x) - ndtr(-c * 2**0.5 - x)
    return float(1.0 - np.sum(weights * density * inside) * c * 2**0.5)
