"""The smallest effect that a test split can show, before anything is trained.

The difference of two arms that were judged on the same n images has a variance of about e (1 - e) / n, where e is the
share of errors. Each arm's own score has that variance. The difference would have twice as much, but both arms are
asked about the same images and err on many of them alike; the seeds add some again. In three verdicts (letters, digits,
Fashion-MNIST) the smallest detectable effect was 0.9, 1.2 and 1.4 times this figure, so it is rather a lower bound. It
is for one generated set: several generators add their own variance.

Images of a group (one patient, one film) are no independent draws. How alike they are is known only after training:
if all images of a group were answered alike, n would be the number of groups.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

import numpy as np

from ops.recipe.design import POWER, Metric

ASSUMED_ERRORS = 0.15  # share of test images that a good arm gets wrong, before any arm is trained
HOPED_FOR = 0.05  # generated images rarely gain more


@dataclass(frozen=True)
class Resolution:
    """effect: the smallest difference in 0..1 that is found in four of five verdicts. errors: the share of errors that
    it holds for. is_assumed: whether that is ASSUMED_ERRORS, and not measured on validation. groups: of the test
    images, about; None where the source has none."""

    effect: float
    errors: float
    is_assumed: bool
    images: int
    metric: Metric
    groups: int | None = None

    @property
    def alike(self) -> float:
        """The effect if images of a group were all answered alike."""
        return min(1.0, self.effect * sqrt(self.images / (self.groups or self.images)))

    @property
    def is_enough(self) -> bool:
        return self.alike <= HOPED_FOR


def find_resolution(
    counts: np.ndarray, metric: Metric, *, confidence: float, errors: float | None, groups: int | None = None
) -> Resolution:
    """For test images int64 [K] per class; `errors` in 0..1 of the arms on validation, None if unknown.

    Classes without test images are not judged, as in a verdict.
    """
    share = ASSUMED_ERRORS if errors is None else max(errors, 1 / counts.sum())
    judged = counts[counts > 0]
    images = {
        "accuracy": float(judged.sum()),
        "balanced_accuracy": float(len(judged) ** 2 / np.sum(1 / judged)),
        "worst_class": float(judged.min()),
    }[metric]
    normal = NormalDist()
    needed = normal.inv_cdf((1 + confidence) / 2) + normal.inv_cdf(POWER)
    effect = min(1.0, needed * sqrt(share * (1 - share) / images))
    return Resolution(effect, share, errors is None, int(counts.sum()), metric, groups)


def describe_resolution(found: Resolution) -> str:
    """The sentence of a plan."""
    source = "if arms err on" if found.is_assumed else "arms err on validation on"
    alike = ""
    if found.groups is not None:
        alike = (
            f"; they are of about {found.groups:,} groups, and where images of a group are answered alike, only from"
            f" about {_points(found.alike)} on"
        )
    return (
        f"{found.images:,} test images show differences from about {_points(found.effect)} on"
        f" ({source} {100 * found.errors:.2g} % of the images){alike}"
    )


def warn_of_resolution(found: Resolution, folds: int | None = None) -> str | None:
    """A warning where only differences would show that nobody should hope for; else None. `folds`: of the verdict."""
    if found.is_enough:
        return None
    images, effect = f"{found.images:,} test images", _points(found.effect)
    if found.groups is not None:
        images, effect = (
            f"{images} of about {found.groups:,} groups",
            f"{effect.partition(' ')[0]} to {_points(found.alike)}",
        )
    return (
        f"with {images} only differences of about {effect} would show, and generated images rarely gain more than"
        f" {100 * HOPED_FOR:.0f}; {REMEDY if folds is None else MORE_IMAGES}"
    )


MORE_IMAGES = "more labelled images would help"
REMEDY = "use more test images, or each image as one with `verdict: {folds: 5, curve_seeds: 0}`"


def _points(effect: float) -> str:
    points = 100 * effect
    return f"{points:.0f} points" if points >= 2 else f"{points:.1g} points"
