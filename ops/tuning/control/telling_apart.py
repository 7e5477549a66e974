"""How well real and generated images can be told apart: a classifier's accuracy, and what it proves.

Whoever names the origin of an image rightly with probability a, where both are equally frequent, proves a total
variation of at least 2a - 1 between the two (Le Cam; used as a test by Lopez-Paz and Oquab 2017). The classifier is a
logistic regression on the features of a random network. It learns from one half of the images and is asked about the
other, so that its answers are independent trials; with two halves that judge each other they are not, and in draws from
equal distributions such a bound failed too often. A better classifier would prove more: it is a lower bound, and images
that only look alike in these features pass.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ops.classifiers.reference.fitting import build_regression, fit_regression, measure_scale
from ops.statistics.proportions import estimate_share

MOST = 2_000  # images of each kind; more would cost time and prove little more
LEAST = 20  # of each kind
CONFIDENCE = 0.9  # of the two-sided interval whose lower end is used: 95 % on that side
STRENGTH = 1.0  # of the regression, C times the number of features


@dataclass(frozen=True)
class Told:
    """accuracy : share of held-back images whose origin is named rightly. variation : lower bound of the total
    variation, 0..1, that holds in 95 of 100 draws."""

    accuracy: float
    variation: float


def tell_apart(real: np.ndarray, generated: np.ndarray, seed: int) -> Told | None:
    """From features float32 [n, d] and [m, d]; None with fewer than 20 of a kind. `seed` draws equally many of each."""
    count = min(len(real), len(generated), MOST)
    if count < LEAST:
        return None
    rng = np.random.default_rng([seed, 4])
    values = np.concatenate([each[rng.permutation(len(each))[:count]] for each in (real, generated)])
    origin, asked = np.repeat([0, 1], count), np.tile(np.arange(count) % 2 == 1, 2)
    mean, scale = measure_scale(values[~asked])
    regression = build_regression(STRENGTH, values.shape[1], "accuracy")
    fit_regression(regression, (values[~asked] - mean) / scale, origin[~asked])
    right = regression.predict((values[asked] - mean) / scale) == origin[asked]
    share = estimate_share(int(right.sum()), len(right), CONFIDENCE)
    return Told(share.estimate, max(0.0, 2 * share.low - 1))
