"""Simulated learning curves over labels whose law is known, and how often the worth of a gain covers the truth.

Every validation image has a difficulty, each network a threshold for it and luck on each image, so that answers of
different sizes agree on many images, as those of real networks do. It knows neither files nor the benchmark's format.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import atan, exp, inf, log, pi
from statistics import NormalDist

import numpy as np

from ops.verdict.worth.curve import LabelCurve, fit_curve, measure_curve
from ops.verdict.worth.labels import Gain, convert_gain

SHARES, CLASSES, LABELS = (0.125, 0.25, 0.5, 1.0), 10, 1_000
DRAWS, CONFIDENCE, KNOWN = 400, 0.95, 1e6  # degrees of freedom of a gain whose error is known
LAWS: dict[str, Callable[[float], float]] = {  # errors with so many labels
    "power": lambda n: 0.02 + n**-0.35,
    "power without a floor": lambda n: 1.2 * n**-0.3,
    "logarithm": lambda n: max(0.0, 0.6 - 0.06 * log(n)),
    "exponential": lambda n: 0.08 + 0.3 * exp(-n / 900),
    "arc tangent": lambda n: 0.9 - 1.7 / pi * atan(n / 400),
}


@dataclass(frozen=True)
class Setting:
    """images: for validation. spread: of seeds, as a share of the deviation of a single answer. error: of the gain."""

    images: int = 1_000
    spread: float = 0.015
    seeds: int = 3
    seeds_of_all: int = 5
    error: float = 0.005


def simulate_curve(law: Callable[[float], float], setting: Setting, rng: np.random.Generator) -> LabelCurve:
    """A curve as it might be measured where errors follow `law`."""
    normal, width = NormalDist(), 2.0**0.5  # of difficulty and luck together
    difficulty, labels = rng.standard_normal(setting.images), np.arange(setting.images) % CLASSES
    answers = {}
    for share in SHARES:
        errors = law(share * LABELS)
        place = normal.inv_cdf(errors)
        per_threshold = normal.pdf(place) / width
        seeds = setting.seeds_of_all if share == 1.0 else setting.seeds
        moved = setting.spread * (errors * (1.0 - errors)) ** 0.5 / per_threshold * rng.standard_normal((seeds, 1))
        answers[share] = dict(
            enumerate(difficulty + rng.standard_normal((seeds, setting.images)) >= width * place + moved)
        )
    images = {share: round(share * LABELS) for share in SHARES}
    return measure_curve(answers, images, labels, "accuracy", arm="mixup", picked="mixup", classes=CLASSES)


def find_truth(law: Callable[[float], float], gain: float) -> float:
    """How many labels per class more have lower errors by `gain`; infinite where none have."""
    wanted = law(LABELS) - gain
    sizes = np.geomspace(LABELS / 16, LABELS * 64, 20_001)
    errors = np.array([law(size) for size in sizes])
    return inf if wanted < errors[-1] else float(np.interp(-wanted, -errors, sizes) - LABELS) / CLASSES


def measure_coverage(
    law: Callable[[float], float], gains: Sequence[float], trials: int, seed: int, setting: Setting | None = None
) -> dict[float, tuple[float, float]]:
    """By true gain, the share of intervals that hold its true worth, and of those that end beyond the curve.

    A truth beyond what the curve can tell is held by an interval that says so.
    """
    setting, rng = setting or Setting(), np.random.default_rng(seed)
    held, beyond = dict.fromkeys(gains, 0), dict.fromkeys(gains, 0)
    truths = {gain: find_truth(law, gain) for gain in gains}
    for _ in range(trials):
        curve = simulate_curve(law, setting, rng)
        fit, luck = fit_curve(curve, DRAWS, rng), setting.error * rng.standard_normal()
        for gain in gains:
            seen, reach = gain + luck, 1.959964 * setting.error
            worth = convert_gain(fit, curve.sizes, Gain(seen, seen - reach, seen + reach, KNOWN), CONFIDENCE, rng)
            truth = float(np.clip(truths[gain], worth.least, worth.most))
            held[gain] += worth.low <= truth <= worth.high
            beyond[gain] += worth.high == worth.most
    return {gain: (held[gain] / trials, beyond[gain] / trials) for gain in gains}
