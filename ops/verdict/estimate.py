"""Intervals for a score and for the difference of two scores: how much they vary by chance.

Test images and training seeds are both samples: other images and other seeds would have given other scores. An arm
was trained K times independently (its *replicates*: seeds, or generators where several were trained) and answered the
same n test images each time. Its score is a sum over classes of a weight times the accuracy on the class's images.

For D_i = w_A(c_i) A_i - w_B(c_i) B_i, where A_i is the mean over arm A's replicates of being right on image i, the
variance of the difference is estimated in closed form,

    V = sum_c var_c(D) / n_c  +  max(0, sum over both arms of (s_a^2 - e_a^2) / K_a)

var_c: variance over the n_c images of class c. s_a^2: variance of the arm's scores over replicates. e_a^2: the part of
s_a^2 that comes from single answers, sum_c w(c)^2 (mean within-image variance over replicates) / n_c; the first term
contains it already. The interval is Student's, with degrees of freedom after Satterthwaite (Biometrics Bulletin 2,
1946),

    df = V^2 / ( sum_c (var_c(D) / n_c)^2 / (n_c - 1)  +  sum_a (s_a^2 / K_a)^2 / (K_a - 1) ),

but at least the smallest of n_c - 1 and K_a - 1. Satterthwaite's df of a plain sum of parts never falls below that;
here it could, because e_a^2 is subtracted from V.

Answers that agree on every image would give V = 0, and an interval of no width from a few images. So V is at least what
one image gives that is answered otherwise, in the mean over the images,

    V >= sum_c w(c)^2 / (n n_c),    w(c) the larger of both arms' weights, n the images of classes with weight,

with the degrees of freedom of what did vary, or n - 1 where nothing did. That is 1/n^2 for plain accuracy: the half
image each way of Agresti and Min (Statistics in Medicine 24, 2005).

Images of two arms are paired, replicates are not: arms of one seed share only their initial weights, and measured arms
show no correlation from that. Plain accuracy is the case of one class that holds all images. `growset bench verdict`
measures coverage.

Images of one unit, such as a patient, are no independent draws. Then `units` gives the first term and its degrees of
freedom, and e_a^2 is the sum over units of the variance of t_u between replicates, of influences that are centred in
each replicate: what units alone add to s_a^2. The least V stays that of one image, and is rarely reached.

Where the images were divided into k folds, each image is a test image once, and replicate s of an arm joins one
training of every fold. s_a^2 is then the sum over folds of the variance of what a fold's images add to the score, with
k (K_a - 1) degrees of freedom. Generators and training images differ between folds, and training images are shared by
them. V knows nothing of either. The scores D_f on the folds' own images show the first: on average their variance s_f^2
exceeds k V. Nadeau and Bengio (Machine Learning 52, 2003) take (1/k + 1/(k-1)) s_f^2 as the variance of a mean over
folds with overlapping training sets. That is applied to the excess, and V is enlarged by a share for the part of the
overlap that no difference between folds shows:

    V' = (1 + OVERLAP) V + (1/k + 1/(k-1)) max(0, s_f^2 - k V),

the last term with k - 1 degrees of freedom in df. Their variance alone has k - 1 degrees of freedom throughout, and
counts images and seeds about twice, although those do not overlap: its intervals are much wider, and cover more than
they say. V alone covers less. OVERLAP was chosen by simulation, and is larger where classes count separately;
`growset bench folds` measures coverage.

An arm of one replicate adds no variance of replicates: it cannot be measured.

The module does not know arms by name, metrics, the rule of decision, or where answers came from.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from ops.verdict.image_groups import FloatArray, Groups, IntArray

BoolArray = npt.NDArray[np.bool_]

# The shares by which overlapping training sets enlarge the variance from images and seeds: of a score over all images,
# and of one over classes, whose borders move with the training images.
OVERLAP, OVERLAP_BY_CLASS = 0.25, 1.0


@dataclass(frozen=True)
class Interval:
    """An estimate with its interval and standard error, as fractions."""

    estimate: float
    low: float
    high: float
    standard_error: float
    df: float

    def set_tails(self, low: float, high: float) -> Interval:
        """The same interval with other tail areas beyond its limits."""
        down, up = (find_critical(tail, self.df) * self.standard_error for tail in (low, high))
        return Interval(self.estimate, self.estimate - down, self.estimate + up, self.standard_error, self.df)


@dataclass(frozen=True)
class Answers:
    """The answers of an arm's K replicates, reduced to the figures that the closed form needs.

    means: float64 [n], mean over replicates. parts: float64 [K, k, C], what the images of each of k folds add to the
    accuracy per replicate and class; k is 1 without folds. noise: float64 [C], the mean over a class's images of the
    variance between replicates; 0 for one replicate. influences: float64 [K, P] of `units.Pairs`; None without units.
    """

    means: FloatArray
    parts: FloatArray
    noise: FloatArray
    influences: FloatArray | None = None

    @property
    def rates(self) -> FloatArray:
        """Accuracy per replicate and class, float64 [K, C]."""
        return np.asarray(self.parts.sum(axis=1))

    @property
    def replicates(self) -> int:
        return len(self.parts)

    @property
    def freedom(self) -> float:
        """Degrees of freedom of the variance between replicates: folds have trainings of their own."""
        return (self.replicates - 1.0) * self.parts.shape[1]


@dataclass(frozen=True)
class Side:
    """An arm's answers to the images of `groups`, and the weight of each class in its score: weights float64 [C]."""

    groups: Groups
    answers: Answers
    weights: FloatArray

    @cached_property
    def score(self) -> float:
        return float((self.answers.rates * self.weights).sum(axis=1).mean())

    @cached_property
    def spread(self) -> tuple[float, float]:
        """s_a^2 / K_a and e_a^2 / K_a; zeros for one replicate."""
        k = self.answers.replicates
        if k == 1:
            return 0.0, 0.0
        scores = (self.answers.parts * self.weights).sum(axis=2)
        if self.answers.influences is not None:
            pairs = self.groups.pairs
            sums = pairs.sum_units(self.answers.influences * self.weights[pairs.classes])  # t_u of each replicate
            inside = float(sums.var(axis=0, ddof=1).sum())
        else:
            inside = float(np.sum(self.weights**2 * self.answers.noise / self.groups.counts))
        return float(scores.var(axis=0, ddof=1).sum()) / k, inside / k


def average_generators(correct: BoolArray, generators: IntArray) -> FloatArray:
    """Mean answers per generator, float64 [G, n], of seeds bool [S, n] that used `generators` int [S].

    Seeds of one generator share its images, so they are not independent trials of the recipe; their means are.
    Generators count equally, however many seeds each has, so that the variance between their means has no bias.
    """
    return np.stack([correct[generators == g].mean(axis=0) for g in np.unique(generators)])


def reduce_answers(replicates: npt.NDArray[Any], groups: Groups) -> Answers:
    """Reduce answers [K, n]: bool, or float for means and differences. ValueError for another shape or K = 0."""
    if replicates.ndim != 2 or replicates.shape[1] != len(groups.members) or not len(replicates):
        raise ValueError(f"answers must be [replicates, {len(groups.members)}], not {list(replicates.shape)}")
    means, k = replicates.mean(axis=0), len(replicates)
    if k == 1:
        spread = np.zeros_like(means)
    elif replicates.dtype == np.bool_:
        spread = means * (1.0 - means) * (k / (k - 1.0))  # exactly 0 where all agree
    else:
        spread = replicates.var(axis=0, ddof=1)
    influences = None if groups.units is None else groups.pairs.find_influences(replicates)
    return Answers(means, groups.split(replicates), groups.average(spread), influences)


def estimate_contrast(plus: Side, minus: Side | None, *, tail: float) -> Interval:
    """The score of `plus` minus that of `minus` (0 where None), with a two-sided interval of `tail` on each side.

    Both sides have the same groups. A class of one image has no variance of its own; it takes the variance over all
    images, which is rather too large. ValueError for a tail outside (0, 0.5), or for fewer than two images or units.
    """
    if not 0.0 < tail < 0.5:
        raise ValueError(f"tail must lie between 0 and 0.5, not {tail}")
    if plus.groups.total < 2:
        raise ValueError("an interval needs at least two images, of two units where they have units")
    sides = [plus] if minus is None else [plus, minus]
    estimate = plus.score if minus is None else plus.score - minus.score
    image_parts, freedom = split_image_variance(plus, minus)
    variance = float(image_parts.sum()) + max(
        0.0, sum(between - inside for between, inside in (s.spread for s in sides))
    )
    information = float(np.sum(image_parts**2 / freedom))
    free = list(freedom[image_parts > 0])
    for side in sides:
        if side.answers.replicates > 1:
            information += side.spread[0] ** 2 / side.answers.freedom
            free.append(side.answers.freedom)
    counted, least = _vary_one_image(sides)
    if variance < least:  # the few degrees of freedom of what did vary stay, or the interval could become narrower
        free = [max(variance**2 / information, min(free)) if variance > 0.0 else max(counted, 2) - 1.0]
        variance, information = least, least**2 / free[0]
    if plus.groups.folds is not None:
        folds = int(plus.groups.folds.max()) + 1
        excess = float(score_folds(plus, minus).var(ddof=1)) - folds * variance
        shared = 1.0 + (OVERLAP if len(plus.groups.counts) == 1 else OVERLAP_BY_CLASS)
        variance *= shared
        information *= shared**2
        if excess > 0.0:
            between = (1.0 / folds + 1.0 / (folds - 1.0)) * excess
            variance += between
            information += between**2 / (folds - 1.0)
            free.append(folds - 1.0)
    df = max(variance**2 / information, min(free))
    reach = find_critical(tail, df) * variance**0.5
    return Interval(estimate, estimate - reach, estimate + reach, variance**0.5, df)


def _vary_one_image(sides: list[Side]) -> tuple[int, float]:
    """The images that count, and the least variance of a contrast: that of one of them which is answered otherwise."""
    counts, weights = sides[0].groups.counts, np.max([np.abs(side.weights) for side in sides], axis=0)
    counted = int(counts[weights > 0].sum())
    return counted, float(np.sum(weights**2 / counts) / counted)


def split_image_variance(plus: Side, minus: Side | None) -> tuple[FloatArray, FloatArray]:
    """The parts of a contrast's variance that come from images, and the degrees of freedom of each.

    Without units there is a part for each class, var_c(D) / n_c with n_c - 1.
    """
    groups = plus.groups
    if groups.units is not None:
        return _split_unit_variance(plus, minus)
    others = np.zeros(len(groups.counts)) if minus is None else minus.weights
    parts = np.zeros(len(groups.counts))
    for c in np.flatnonzero((plus.weights != 0.0) | (others != 0.0)):
        images = groups.places[c] if groups.counts[c] > 1 else slice(None)
        values = plus.weights[c] * plus.answers.means[images]
        if minus is not None:
            values = values - others[c] * minus.answers.means[images]
        # Shifted so that a class of equal values gives exactly 0, without rounding errors.
        parts[c] = (values - values[0]).var(ddof=1) / groups.counts[c]
    return parts, np.where(groups.counts > 1, groups.counts, groups.total) - 1.0


def _split_unit_variance(plus: Side, minus: Side | None) -> tuple[FloatArray, FloatArray]:
    """The same with a part for each stratum, and one for each class of one unit."""
    pairs, sides = plus.groups.pairs, [(plus, 1.0)] if minus is None else [(plus, 1.0), (minus, -1.0)]
    influences, weights = np.zeros(len(pairs.units)), np.zeros(len(pairs.draws))
    for side, sign in sides:
        assert side.answers.influences is not None
        influences += sign * side.answers.influences.mean(axis=0) * side.weights[pairs.classes]
        weights = np.maximum(weights, np.abs(side.weights))
    parts, freedom = pairs.split_variance(influences, weights)
    lone = np.flatnonzero((pairs.draws == 1) & (weights != 0.0))
    values = [sum(sign * side.weights[c] * side.answers.means for side, sign in sides) for c in lone]
    alone = np.array([pairs.average_units(value).var(ddof=1) for value in values])
    return np.append(parts, alone), np.append(freedom, np.full(len(lone), plus.groups.total - 1.0))


def score_folds(plus: Side, minus: Side | None) -> FloatArray:
    """The contrast on the test images of each fold, float64 [k]; a class without images there counts with its mean.

    ValueError if the images were never divided.
    """
    groups = plus.groups
    if groups.folds is None:
        raise ValueError("these images are not divided into folds")
    folds = int(groups.folds.max()) + 1
    others = np.zeros(len(groups.counts)) if minus is None else minus.weights
    scores = np.zeros(folds)
    for c in np.flatnonzero((plus.weights != 0.0) | (others != 0.0)):
        images = groups.places[c]
        values = plus.weights[c] * plus.answers.means[images]
        if minus is not None:
            values = values - others[c] * minus.answers.means[images]
        counts = np.bincount(groups.folds[images], minlength=folds)
        sums = np.bincount(groups.folds[images], weights=values, minlength=folds)
        scores += np.where(counts > 0, sums / np.maximum(counts, 1), values.mean())
    return scores


def find_critical(tail: float, df: float) -> float:
    """The value that Student's t with `df` degrees of freedom exceeds with probability `tail`."""
    from scipy.special import stdtrit  # takes a quarter of a second

    return -float(stdtrit(df, tail))
