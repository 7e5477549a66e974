"""Does a generator copy its training images? A test of the whole set, beside the rule that rejects single near copies.

Held-out real images show how near images come to the training images by chance; a generator that copies comes nearer.
The test compares relative distances to the nearest training image (`ops.likeness.copies`) by two figures. Both compare
images within a class and weight classes by the generated images' class shares, so that a different mix of classes
makes neither side look nearer:

- nearer: the probability that a generated image lies nearer to a training image than a held-out real one does; ties
  count half. It is 0.5 without copying. It is the Mann-Whitney statistic behind C_T (Meehan, Chaudhuri & Dasgupta 2020,
  "A non-parametric test to detect data-copying in generative models"; their cells are our classes), on a scale that
  does not grow with the counts, with the interval of DeLong, DeLong & Clarke-Pearson 1988 on the logit scale.
- excess: the share of near copies among generated images minus that among held-out ones, with Newcombe's interval.
  It detects a few copies among many originals, which hardly change `nearer`.

It knows distances, labels and limits, no images. The intervals hold for this training set and generator.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from ops.statistics.proportions import Estimate, estimate_share, find_quantile, subtract_shares

Decision = Literal["copies", "no sign", "too few"]
MIN_IMAGES = 20  # images on each side; with fewer the decision is "too few"
# The decision "no sign" needs intervals that end below these; with few images they reach higher.
TOLERATED_NEARER = 0.6
TOLERATED_EXCESS = 0.05


@dataclass(frozen=True)
class Copying:
    """The decision and its figures; the module's docstring defines `nearer` and `excess`.

    generated, held_out: how many images were compared. near_generated, near_held_out: shares of near copies, the latter
    weighted by the generated images' class shares. Estimates are None where nothing could be compared, those of near
    copies also where no class has a limit.
    """

    decision: Decision
    generated: int
    held_out: int
    nearer: Estimate | None
    near_generated: Estimate | None
    near_held_out: Estimate | None
    excess: Estimate | None


@dataclass(frozen=True)
class CopyingFindings:
    """The whole set at `confidence`, and every class by label; the classes' intervals hold jointly (Bonferroni).

    `sentence` states the decision on the whole set. Classes that could not be compared are `too few`.
    """

    confidence: float
    whole: Copying
    classes: tuple[Copying, ...]
    sentence: str

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers by name, for JSON."""
        return asdict(self)


@dataclass(frozen=True, eq=False)
class _Side:
    """Sorted distances of one class, and its limit for near copies, NaN for none."""

    generated: np.ndarray
    held_out: np.ndarray
    limit: float

    @property
    def is_comparable(self) -> bool:
        return min(len(self.generated), len(self.held_out)) >= 2  # each side needs a variance


def examine_copying(
    generated: np.ndarray,
    labels: np.ndarray,
    held_out: np.ndarray,
    held_out_labels: np.ndarray,
    limits: Sequence[float | None],
    confidence: float = 0.95,
) -> CopyingFindings:
    """Compare relative distances of generated images float [n] with those of held-out real images float [m].

    labels int [n] and held_out_labels int [m] lie in 0..K-1. An image nearer than its class's entry in `limits` is a
    near copy; None: no limit. NaN distances were not measured and are left out. A class needs two images on each side
    to be compared.

    Decisions: `copies` if `nearer` is above 0.5 or `excess` above 0, with its whole interval. Otherwise `no sign` if
    the intervals end below 0.6 and 5 points. Otherwise, or with fewer than 20 images on a side, `too few`. Where the
    limits are quantiles of these very held-out distances, the interval of `excess` still holds without copying.

    ValueError where lengths or labels do not fit.
    """
    sides = _split(generated, labels, held_out, held_out_labels, limits)
    compared = [side for side in sides if side.is_comparable]
    joint = 1.0 - (1.0 - confidence) / max(1, len(compared))
    whole = _compare(compared, confidence)
    classes = tuple(_compare([side] if side.is_comparable else [], joint) for side in sides)
    return CopyingFindings(confidence, whole, classes, describe_copying(whole, confidence))


def describe_copying(found: Copying, confidence: float) -> str:
    """The decision with its figures, as one sentence."""
    if found.nearer is None:
        return "Too few images to tell whether generated images copy training images: no class can be compared."
    level = f"{100 * confidence:g} %"
    nearer = (
        f"a generated image is nearer to a training image than a held-out real one of its class in"
        f" {100 * found.nearer.estimate:.1f} % of cases ({level} interval {100 * found.nearer.low:.1f} to"
        f" {100 * found.nearer.high:.1f}; 50 % without copying)"
    )
    near = ""
    if found.near_generated is not None and found.near_held_out is not None and found.excess is not None:
        near = (
            f", and {100 * found.near_generated.estimate:.1f} % are near copies, against"
            f" {100 * found.near_held_out.estimate:.1f} % of held-out real images (difference"
            f" {100 * found.excess.low:+z.1f} to {100 * found.excess.high:+z.1f} points)"
        )
    begins = {
        "copies": "Generated images copy more than held-out real images do",
        "no sign": "No sign of copying",
        "too few": "Too few images to tell whether generated images copy",
    }
    return f"{begins[found.decision]}: {nearer}{near}."


def _split(
    generated: np.ndarray,
    labels: np.ndarray,
    held_out: np.ndarray,
    held_out_labels: np.ndarray,
    limits: Sequence[float | None],
) -> list[_Side]:
    for distances, of in ((generated, labels), (held_out, held_out_labels)):
        if distances.shape != of.shape or distances.ndim != 1:
            raise ValueError(f"distances {list(distances.shape)} and labels {list(of.shape)} must be [n] both")
        if len(of) and not 0 <= of.min() <= of.max() < len(limits):
            raise ValueError(f"labels must lie in 0..{len(limits) - 1}, found {of.min()}..{of.max()}")

    def pick(distances: np.ndarray, of: np.ndarray, label: int) -> np.ndarray:
        found = distances[of == label].astype(np.float64)
        return np.sort(found[~np.isnan(found)])

    return [
        _Side(
            pick(generated, labels, label),
            pick(held_out, held_out_labels, label),
            math.nan if limit is None else float(limit),
        )
        for label, limit in enumerate(limits)
    ]


def _compare(sides: Sequence[_Side], confidence: float) -> Copying:
    """All figures of these classes together."""
    drawn = sum(len(side.generated) for side in sides)
    held = sum(len(side.held_out) for side in sides)
    if not sides:
        return Copying("too few", 0, 0, None, None, None, None)
    nearer = _estimate_nearer(sides, confidence)
    shares = _estimate_near_copies([side for side in sides if not math.isnan(side.limit)], confidence)
    excess = None if shares is None else subtract_shares(*shares)
    return Copying(
        decision=_decide(nearer, excess, min(drawn, held)),
        generated=drawn,
        held_out=held,
        nearer=nearer,
        near_generated=None if shares is None else shares[0],
        near_held_out=None if shares is None else shares[1],
        excess=excess,
    )


def _decide(nearer: Estimate, excess: Estimate | None, fewest: int) -> Decision:
    if fewest < MIN_IMAGES:
        return "too few"
    if nearer.low > 0.5 or (excess is not None and excess.low > 0):
        return "copies"
    ruled_out = nearer.high <= TOLERATED_NEARER and (excess is None or excess.high <= TOLERATED_EXCESS)
    return "no sign" if ruled_out else "too few"


def _estimate_nearer(sides: Sequence[_Side], confidence: float) -> Estimate:
    """The weighted mean A = sum_c w_c A_c of the classes' areas under the curve; its variance is sum_c w_c^2 V_c, V_c
    DeLong's.

    Where one side lies wholly below the other, DeLong's variance is 0. The interval is then Newcombe's score interval
    for an area (2006, "Confidence intervals for an effect size measure based on the Mann-Whitney statistic", method 5),
    which has a width there too.
    """
    whole = sum(len(side.generated) for side in sides)
    area, variance = 0.0, 0.0
    for side in sides:
        weight = len(side.generated) / whole
        of_generated = 1.0 - _place(side.generated, side.held_out)  # for each, the share of held-out ones farther away
        of_held_out = _place(side.held_out, side.generated)
        area += weight * float(of_generated.mean())
        spread = of_generated.var(ddof=1) / len(of_generated) + of_held_out.var(ddof=1) / len(of_held_out)
        variance += weight**2 * float(spread)
    area = min(1.0, max(0.0, area))
    z = find_quantile(confidence)
    if variance <= 0.0 or not 0.0 < area < 1.0:
        return _score_area(area, whole, sum(len(side.held_out) for side in sides), z)
    logit, reach = math.log(area / (1 - area)), z * math.sqrt(variance) / (area * (1 - area))
    return Estimate(area, _expit(logit - reach), _expit(logit + reach))


def _place(values: np.ndarray, among: np.ndarray) -> np.ndarray:
    """For each of `values`, the share of the sorted `among` below it, ties half; float64 [n]."""
    return (np.searchsorted(among, values, "left") + np.searchsorted(among, values, "right")) / (2.0 * len(among))


def _score_area(area: float, one: int, other: int, z: float) -> Estimate:
    """The interval of all areas t with |area - t| <= z sqrt(V(t)), V Hanley and McNeil's variance; by bisection."""
    larger = (one + other) / 2 - 1

    def lies_within(t: float) -> bool:
        variance = t * (1 - t) * (1 + larger * ((1 - t) / (2 - t) + t / (1 + t))) / (one * other)
        return abs(area - t) <= z * math.sqrt(variance)

    bounds = []
    for end in (0.0, 1.0):
        inside, outside = area, end
        for _ in range(60):
            middle = (inside + outside) / 2
            inside, outside = (middle, outside) if lies_within(middle) else (inside, middle)
        bounds.append(inside)
    return Estimate(area, *bounds)


def _expit(logit: float) -> float:
    return 1 / (1 + math.exp(-logit)) if logit >= 0 else math.exp(logit) / (1 + math.exp(logit))


def _estimate_near_copies(sides: Sequence[_Side], confidence: float) -> tuple[Estimate, Estimate] | None:
    """Shares of near copies among generated and among held-out images, the latter weighted by the former's class
    shares; None without classes.

    The interval of the held-out share is Wilson's at the effective count 1 / sum(w_c^2 / m_c), with weights w_c and
    counts m_c: an unweighted sample of that size has the same variance.
    """
    if not sides:
        return None
    counts = np.array([len(side.generated) for side in sides], dtype=np.float64)
    held = np.array([len(side.held_out) for side in sides], dtype=np.float64)
    near = np.array([np.searchsorted(side.generated, side.limit) for side in sides])
    near_held = np.array([np.searchsorted(side.held_out, side.limit) for side in sides])
    weights = counts / counts.sum()
    effective = 1.0 / float((weights**2 / held).sum())
    share = min(1.0, float((weights * near_held / held).sum()))
    return (
        estimate_share(float(near.sum()), float(counts.sum()), confidence),
        estimate_share(share * effective, effective, confidence),
    )
