"""A baseline's learning curve over its labels: the measured points, how far chance may move them, and fitting laws.

Every point is the mean score of some networks that were trained on a part of the labels and answered the same
validation images. Two things vary. Other *images* would move all points together, so what matters is the covariance of
the points, sum_c w_c^2 n_c cov_c(means), over the classes c with n_c images of weight w_c each; with accuracy all
images are one class. Other *seeds*, which draw both the part and the first weights, move every point for itself. A
point has few seeds, so their variance is pooled over the points, relative to p (1 - p), where p is a point's score; the
part of it that single answers explain is in the covariance already and is subtracted, as in `ops.verdict.estimate`.

Where the points lie farther from every law than chance explains, no law of the family holds, and their errors are
enlarged by what is missing (Birge's ratio, Physical Review 40, 1932).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.special import chdtrc

from ops.recipe.design import Metric
from ops.verdict.estimate import BoolArray
from ops.verdict.image_groups import FloatArray, Groups, IntArray, group_images
from ops.verdict.metric import weigh_images
from ops.verdict.units import keep_several
from ops.verdict.worth.law import EXPONENTS, LEAST_SIZES, Laws, fit_laws

CHANCE = 0.05  # the share of curves of the law whose errors are enlarged without need


@dataclass(frozen=True)
class Point:
    """Networks that learnt from a part of the labels. share: of all training images, 1 for all. images: their number.

    score: the mean over seeds in 0..1, `per_seed` each of them. seed_variance: of `score`, by seeds alone.
    """

    share: float
    images: int
    score: float
    per_seed: dict[str, float]
    seed_variance: float


@dataclass(frozen=True)
class LabelCurve:
    """arm: the baseline whose curve it is; picked: the arm that validation picked, which is another one where that has
    a teacher, who saw all labels. points: the smallest first, all labels last.

    covariance: of the points' scores by validation images, [J][J]. freedom: degrees of freedom of the seeds' variance.
    """

    arm: str
    picked: str
    metric: Metric
    classes: int
    validation_images: int
    points: list[Point]
    covariance: list[list[float]]
    freedom: int

    @property
    def is_enough(self) -> bool:
        """Whether there are as many sizes as a law has parameters."""
        return len(self.points) >= LEAST_SIZES

    @property
    def sizes(self) -> list[float]:
        """Labels per class of each point, the mean over classes."""
        return [point.images / self.classes for point in self.points]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_dict(value: Mapping[str, Any]) -> LabelCurve:
        return LabelCurve(**{**value, "points": [Point(**point) for point in value["points"]]})


@dataclass(frozen=True, eq=False)
class Fit:
    """Laws fitted to a curve as it was measured, the first of each, and as it might have been measured.

    free: with all exponents. bending: only with those that go on bending as a power law does. Where a curve still falls
    faster and faster, nothing that was measured says when it begins to bend, so what lies beyond is read off both.
    enlarged: the factor of the points' errors, above 1 where no law fits.
    """

    free: Laws
    bending: Laws
    enlarged: float


def measure_curve(
    answers: Mapping[float, Mapping[int, BoolArray]],
    images: Mapping[float, int],
    labels: IntArray,
    metric: Metric,
    *,
    arm: str,
    picked: str,
    classes: int,
    units: IntArray | None = None,
) -> LabelCurve:
    """The curve of networks that were right on validation images: bool [n] by share of the labels and seed.

    images: training images by share. labels: int [n]. metric: accuracy or balanced_accuracy; classes without validation
    images do not count in it. units: int [n], equal for images that belong together; images of a single unit count one
    by one, because it says nothing of others.
    """
    shares, weights = sorted(answers), weigh_images(labels, metric)
    stacked = [np.stack(list(answers[share].values())) for share in shares]
    scores = [each @ weights for each in stacked]
    levels = np.array([each.mean() for each in scores])
    counts = np.array([len(each) for each in scores])
    least = float(np.sum(weights**2)) / len(labels)  # of one image that is answered otherwise
    base = np.maximum(levels * (1.0 - levels), least)
    between = sum(float(((each - each.mean()) ** 2).sum()) / unit for each, unit in zip(scores, base, strict=True))
    inside = sum(
        float(((each - each.mean(axis=0)) ** 2).sum(axis=0) @ weights**2) / unit
        for each, unit in zip(stacked, base, strict=True)
    )
    freedom = int((counts - 1).sum())
    relative = max(0.0, between - inside) / max(freedom, 1)
    seeds = np.maximum(relative * base / counts, least)
    means = np.stack([each.mean(axis=0, dtype=np.float64) for each in stacked])
    groups = group_images(None if metric == "accuracy" else labels, len(labels), units=keep_several(units))
    return LabelCurve(
        arm,
        picked,
        metric,
        classes,
        len(labels),
        [
            Point(
                share,
                images[share],
                float(level),
                {str(seed): float(score) for seed, score in zip(answers[share], own, strict=True)},
                float(variance),
            )
            for share, level, own, variance in zip(shares, levels, scores, seeds, strict=True)
        ],
        _covary(means, weights, groups),
        freedom,
    )


def _covary(means: FloatArray, weights: FloatArray, groups: Groups) -> list[list[float]]:
    """The covariance [J, J] of the scores of `means` [J, n] by images. A class of one image has that of all images.

    With units it is the cluster-robust one of `ops.verdict.units`.
    """
    total = np.zeros((len(means), len(means)))
    if groups.units is not None:
        pairs = groups.pairs
        by_class = np.bincount(groups.members, weights=weights)
        sums = pairs.sum_units(pairs.find_influences(means) * by_class[pairs.classes])
        total += sums @ sums.T
        for c in np.flatnonzero(pairs.draws == 1):
            total += by_class[c] ** 2 * np.cov(pairs.average_units(means))
        return total.tolist()
    for places in groups.places:
        own = means[:, places] if len(places) > 1 else means
        total += float(weights[places[0]]) ** 2 * len(places) * np.cov(own)
    return total.tolist()


def fit_curve(curve: LabelCurve, draws: int, rng: np.random.Generator) -> Fit:
    """The laws of the curve, and of `draws` curves that chance might have shown instead: 1 + draws laws.

    ValueError for fewer than LEAST_SIZES points.
    """
    errors = np.array([1.0 - point.score for point in curve.points])
    covariance = np.array(curve.covariance)
    seeds = np.array([point.seed_variance for point in curve.points])
    variances = np.diag(covariance) + seeds
    law = fit_laws(curve.sizes, errors[None], variances)
    enlarged = _enlarge(law, curve.sizes, errors, covariance + np.diag(seeds))
    root = np.linalg.cholesky(covariance + np.diag(np.full(len(errors), 1e-3 * seeds.min())))
    by_images = rng.standard_normal((draws, len(errors))) @ root.T
    known = np.sqrt(curve.freedom / rng.chisquare(curve.freedom, draws)) if curve.freedom else np.ones(draws)
    by_seeds = rng.standard_normal((draws, len(errors))) * np.sqrt(seeds) * known[:, None]
    drawn = np.concatenate([errors[None], errors + enlarged * (by_images + by_seeds)])
    bending = EXPONENTS[EXPONENTS >= 0.0]
    return Fit(
        fit_laws(curve.sizes, drawn, variances), fit_laws(curve.sizes, drawn, variances, bending), float(enlarged)
    )


def _enlarge(law: Laws, sizes: Sequence[float], errors: FloatArray, covariance: FloatArray) -> float:
    """1, or by how much the points' errors are too small for the law, where chance does not explain their distance."""
    left = len(errors) - LEAST_SIZES
    if left == 0:
        return 1.0
    missing = errors - law.find_errors(sizes)[0]
    distance = float(missing @ np.linalg.solve(covariance, missing))
    return float(np.sqrt(distance / left)) if chdtrc(left, distance) < CHANCE else 1.0
