"""The law that a learning curve is fitted to: how errors fall with the number of labels.

    error(n) = errors + slope * ((n / whole)^(-exponent) - 1) / exponent,    slope >= 0, exponent in EXPONENTS,

where `errors` are those with all labels that there are, `whole` of them, and -slope is the derivative by log n there.
With an exponent above 0 it is the power law with a floor of Hestness et al. ("Deep learning scaling is predictable,
empirically", 2017), the first of the four that Mahmood et al. ("How much more data do I need?", CVPR 2022) compare. At
0 it is a logarithm, their second. Below 0 errors fall faster and faster in log n, as they do in the middle of the
S-shaped curves of few labels, which their third, the arc tangent, follows; without this range such a curve would be
continued too flat, and a gain would seem worth too many labels.

For a given exponent the other two follow from weighted least squares in closed form. The exponent is the best one of a
grid, so a fit needs no start, and thousands of curves are fitted at once. It knows neither images nor how errors were
measured.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

# Of image classifiers they lie between 0.07 and 0.5 (Hestness et al.); with few parameters errors fall as 1 / n.
EXPONENTS = np.linspace(-1.0, 1.0, 41)
LEAST_SIZES = 3  # as many as the law has parameters; with fewer, many curves fit equally well


@dataclass(frozen=True, eq=False)
class Laws:
    """B fitted laws: errors, slope and exponent, float64 [B] each. whole: the number of labels that there are."""

    whole: float
    errors: Floats
    slope: Floats
    exponent: Floats

    def find_errors(self, sizes: npt.ArrayLike) -> Floats:
        """The errors [B, J] with `sizes` [J] labels, not below 0."""
        ratios = np.asarray(sizes, np.float64) / self.whole
        found = self.errors[:, None] + self.slope[:, None] * _transform(ratios[None], self.exponent[:, None])
        return np.asarray(np.maximum(found, 0.0))

    def find_sizes(self, gains: npt.ArrayLike) -> Floats:
        """The numbers of labels [B] with which errors are lower by `gains` [B] than with all; infinite where never.

        0 where errors would not be as high even with one label. A gain of 0 is reached with all labels.
        """
        wanted = np.broadcast_to(np.asarray(gains, np.float64), self.errors.shape)
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            base = 1.0 - self.exponent * wanted / self.slope
            powers = np.where(
                self.exponent == 0.0,
                np.exp(wanted / self.slope),
                np.maximum(base, 0.0) ** (-1.0 / np.where(self.exponent == 0.0, 1.0, self.exponent)),
            )
        ratios = np.where((wanted > self.errors) | ((self.slope == 0.0) & (wanted > 0.0)), np.inf, powers)
        ratios = np.where((self.slope == 0.0) & (wanted < 0.0), 0.0, ratios)
        return np.asarray(self.whole * np.where(wanted == 0.0, 1.0, ratios))


def fit_laws(
    sizes: npt.ArrayLike, errors: npt.ArrayLike, variances: npt.ArrayLike, exponents: Floats = EXPONENTS
) -> Laws:
    """The laws that fit errors [B, J] at J sizes best, each size weighed by the inverse of its variance [J].

    exponents: those that are tried. The largest size is that of all labels. Where several exponents fit equally well,
    as on a flat curve, the smallest of them counts. ValueError for fewer than LEAST_SIZES sizes, or sizes and variances
    that are not above 0.
    """
    places, found, spread = (np.asarray(each, np.float64) for each in (sizes, errors, variances))
    if (different := len(np.unique(places))) < LEAST_SIZES:
        raise ValueError(f"a curve needs {LEAST_SIZES} sizes, not {different}")
    if not (places > 0.0).all() or not (spread > 0.0).all():
        raise ValueError("sizes and variances must be above 0")
    weights, whole = (1.0 / spread) / (1.0 / spread).sum(), float(places.max())
    least = np.full(len(found), np.inf)
    best = np.zeros((3, len(found)))
    for exponent in exponents:
        terms = _transform(places / whole, np.full(len(places), exponent))
        centred = terms - terms @ weights
        slope = np.maximum(found @ (weights * centred) / float(centred**2 @ weights), 0.0)
        level = found @ weights - slope * float(terms @ weights)
        lost = (found - level[:, None] - slope[:, None] * terms) ** 2 @ weights
        better = lost < least
        least = np.where(better, lost, least)
        best = np.where(better, np.stack([level, slope, np.full(len(found), exponent)]), best)
    return Laws(whole, np.maximum(best[0], 0.0), best[1], best[2])


def _transform(ratios: Floats, exponents: Floats) -> Floats:
    """(r^(-exponent) - 1) / exponent, and -log r where the exponent is 0."""
    safe = np.where(exponents == 0.0, 1.0, exponents)
    return np.asarray(np.where(exponents == 0.0, -np.log(ratios), (ratios**-safe - 1.0) / safe))
