"""The gain of generated images as a law of real and generated ones, fitted to measured gains, with intervals.

With n real and m generated images per class, z = ln(n / CENTRE), and four parameters:

    gain(n, m) = (growth + growth_slope z) ln(1 + m/n) + (share + share_slope z) m / (n + m)

The law is our own. It is 0 where nothing is generated. m / (n + m), the share of generated images, is the factor of the
divergence in the bound of generative data augmentation (Zheng et al. 2023, theorem 3.1; `ops.theory.bound`): what
images cost that are not real ones. ln(1 + m/n) says by how much the set grows, in which learning curves are nearly
straight over a decade or two. Both may have either sign. Where they differ the gain turns at 1 + m/n = -share / growth:
it falls before it rises, or has a best m.

A block, one number of real images and one seed, has one baseline and one generator for all its m, so its gains vary
together. Gains of a block have one variance and one correlation: the variance is a power of n, fitted to the variances
within the numbers, and the correlation is pooled over all. Means over seeds are fitted by generalised least squares.
Intervals are those of draws: the means as other seeds might have shown them, each fitted again. A draw has a variance
of its own, as few seeds leave it open: its size spreads as chi-squared, its power by the error of the fit. (Drawing
anew from two or three measured seeds would give narrower intervals, which do not cover.) Where the means lie farther
from the law than the seeds explain, errors are enlarged by what is missing (Birge's ratio), as in
`ops.verdict.worth.curve`. One seed has no variance, so it gives no interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import fdtrc, polygamma

FloatArray = NDArray[np.float64]
PARAMETERS = ("growth", "growth_slope", "share", "share_slope")
CENTRE = 100.0  # real images per class at which `growth` and `share` are what the gain has
CHANCE = 0.05  # the share of gains of the law whose errors are enlarged without need
STEEPEST = -2.0  # power of n that the variance may follow; the other end is 0
LEAST_POWER = 3  # numbers of real images with several seeds, from which a power is fitted; with fewer it is 0
CLOSEST = 0.95  # the largest correlation, so that no combination of gains is taken for certain
TINY = 1e-12


@dataclass(frozen=True, eq=False)
class Gains:
    """What generated images gained at one number of real ones.

    real: n, per class. generated: m, per class, [K], all above 0. seen: the gain of each seed, float [S, K], in any
    unit.
    """

    real: float
    generated: Sequence[float]
    seen: FloatArray

    @property
    def means(self) -> FloatArray:
        """Over the seeds, float [K]."""
        return np.asarray(self.seen.mean(axis=0))


@dataclass(frozen=True, eq=False)
class GainCurve:
    """A fitted law, in the unit of the gains.

    parameters: float [1 + draws, 4], in the order of PARAMETERS: as it was measured, then as it might have been; no
    draws where each number has one seed. residuals: mean gains minus the law, float [K] of each number of real images.
    enlarged: the factor of the errors, above 1 where the law does not fit. freedom: degrees of freedom of the seeds'
    variance.
    """

    parameters: FloatArray
    residuals: list[FloatArray]
    enlarged: float
    freedom: int

    def predict(self, real: float, generated: float) -> FloatArray:
        """The gain by the law and by its draws, float [1 + draws]."""
        return np.asarray(self.parameters @ describe(real, generated))

    def find_interval(self, real: float, generated: float, confidence: float) -> tuple[float, float] | None:
        """Both ends for the law's gain; None without draws."""
        return find_ends(self.predict(real, generated), confidence)


def describe(real: float, generated: float) -> FloatArray:
    """What the parameters are multiplied with, float [4]. ValueError for real at most 0 or generated below 0."""
    if real <= 0 or generated < 0:
        raise ValueError(f"a gain needs real images and no fewer generated ones than 0; got {real} and {generated}")
    growth, share, z = np.log1p(generated / real), generated / (real + generated), np.log(real / CENTRE)
    return np.array([growth, growth * z, share, share * z])


def find_ends(values: FloatArray, confidence: float) -> tuple[float, float] | None:
    """The ends of the interval of a value [1 + draws] whose first entry is the fit; None without draws."""
    if len(values) == 1:
        return None
    low, high = np.quantile(values[1:], [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def can_fit(measured: Sequence[Gains]) -> bool:
    """Whether the gains decide all four parameters: two numbers of real images, each with two of generated ones."""
    cells = _list_cells(measured)
    return len(cells) >= len(PARAMETERS) and int(np.linalg.matrix_rank(cells)) == len(PARAMETERS)


def fit_gains(measured: Sequence[Gains], draws: int, rng: np.random.Generator) -> GainCurve:
    """The law of some measured gains, each of another number of real images.

    ValueError where they do not decide all parameters, which `can_fit` tells.
    """
    if not can_fit(measured):
        raise ValueError("a law of gains needs two numbers of real images, each with two numbers of generated ones")
    noise, counts = _estimate_noise(measured), [len(each.generated) for each in measured]
    cells, means = _list_cells(measured), np.concatenate([each.means for each in measured])
    covariance = _join([noise.covary(each) for each in measured])
    weighted = np.linalg.solve(covariance, cells)
    solve = np.linalg.solve(weighted.T @ cells, weighted.T)  # [4, cells]: means to parameters
    found = solve @ means
    missing = means - cells @ found
    enlarged = _enlarge(missing, covariance, noise.freedom)
    parameters = found[None]
    if noise.freedom:
        spread = np.sqrt(noise.freedom / rng.chisquare(noise.freedom, (draws, 1)))
        powers = noise.power_error * rng.standard_normal((draws, 1))
        spread = spread * np.repeat([each.real / CENTRE for each in measured], counts) ** (powers / 2)
        moved = rng.standard_normal((draws, len(means))) @ np.linalg.cholesky(covariance).T
        parameters = np.concatenate([parameters, found + enlarged * (spread * moved) @ solve.T])
    return GainCurve(parameters, np.split(missing, np.cumsum(counts)[:-1]), enlarged, noise.freedom)


def _list_cells(measured: Sequence[Gains]) -> FloatArray:
    """The regressors of all gains, float [cells, 4]."""
    return np.array([describe(each.real, count) for each in measured for count in each.generated])


@dataclass(frozen=True)
class _Noise:
    """How seeds move gains: their variance is variance * (n / CENTRE) ** power, and those of a block correlate so.

    power_error: standard error of the power. freedom: degrees of freedom of the variance.
    """

    variance: float
    power: float
    power_error: float
    correlation: float
    freedom: int

    def covary(self, gains: Gains) -> FloatArray:
        """The covariance of the means over seeds, float [K, K]."""
        count = len(gains.generated)
        shape = self.correlation + (1 - self.correlation) * np.eye(count)
        return np.asarray(self.variance * (gains.real / CENTRE) ** self.power * shape / len(gains.seen))


def _estimate_noise(measured: Sequence[Gains]) -> _Noise:
    repeated = [each for each in measured if len(each.seen) > 1]
    free = np.array([len(each.seen) - 1 for each in repeated])
    if not repeated:
        return _Noise(1.0, 0.0, 0.0, 0.0, 0)  # all means weigh alike
    left = [each.seen - each.means for each in repeated]
    variances = np.array([float((own**2).mean(axis=1).sum()) for own in left]) / free
    sizes = np.array([each.real for each in repeated]) / CENTRE
    power = power_error = 0.0
    if len(repeated) >= LEAST_POWER:
        logs = np.log(np.maximum(variances, max(1e-3 * variances.mean(), TINY)))
        weights, places = 1 / polygamma(1, free / 2), np.log(sizes)  # the variance of a chi-squared's logarithm
        power = float(np.clip(np.polyfit(places, logs, 1, w=np.sqrt(weights))[0], STEEPEST, 0.0))
        around = places - np.average(places, weights=weights)
        power_error = float((weights @ around**2) ** -0.5)
    scales = sizes**power
    variance = max(float((free * variances / scales).sum() / free.sum()), TINY)
    scaled = [own / np.sqrt(scale * variance) for own, scale in zip(left, scales, strict=True)]
    together, pairs = 0.0, 0.0
    for own, own_free in zip(scaled, free, strict=True):
        count = own.shape[1]
        together += float((own.sum(axis=1) ** 2 - (own**2).sum(axis=1)).sum())
        pairs += own_free * count * (count - 1)
    correlation = float(np.clip(together / pairs, 0.0, CLOSEST)) if pairs else 0.0
    return _Noise(variance, power, power_error, correlation, int(free.sum()))


def _join(blocks: Sequence[FloatArray]) -> FloatArray:
    """The block-diagonal matrix of some square ones."""
    ends = np.cumsum([0, *map(len, blocks)])
    found = np.zeros((ends[-1], ends[-1]))
    for start, end, block in zip(ends, ends[1:], blocks, strict=False):
        found[start:end, start:end] = block
    return found


def _enlarge(missing: FloatArray, covariance: FloatArray, freedom: int) -> float:
    """1, or by how much errors are too small for the law, where the seeds do not explain its distance."""
    left = len(missing) - len(PARAMETERS)
    if not left or not freedom:
        return 1.0
    ratio = float(missing @ np.linalg.solve(covariance, missing)) / left
    return float(np.sqrt(ratio)) if fdtrc(left, freedom, ratio) < CHANCE else 1.0
