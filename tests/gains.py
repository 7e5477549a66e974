"""Gains of generated images that follow a law, with seeds that scatter as planted; and how often intervals cover."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ops.study.gain_curve import CENTRE, Gains, describe, fit_gains

FloatArray = NDArray[np.float64]
LAW = np.array([0.012, -0.006, -0.02, 0.004])
SIZES, RATIOS = (10.0, 50.0, 100.0, 500.0), (1.0, 3.0, 10.0, 30.0)


def find_gains(law: FloatArray, sizes: Sequence[float] = SIZES, ratios: Sequence[float] = RATIOS) -> list[FloatArray]:
    """The law's gain of each ratio, float [K], for each number of real images."""
    return [np.array([describe(size, ratio * size) @ law for ratio in ratios]) for size in sizes]


def measure_gains(
    rng: np.random.Generator,
    truth: Sequence[FloatArray],
    *,
    seeds: int = 3,
    sizes: Sequence[float] = SIZES,
    ratios: Sequence[float] = RATIOS,
    deviation: float = 0.01,
    power: float = -0.7,
    correlation: float = 0.6,
) -> list[Gains]:
    """Gains that were measured with some seeds. deviation: of one seed at CENTRE real images; the rest as the law has
    it."""
    found = []
    for size, own in zip(sizes, truth, strict=True):
        shared = np.sqrt(correlation) * rng.standard_normal((seeds, 1))
        apart = np.sqrt(1 - correlation) * rng.standard_normal((seeds, len(ratios)))
        noise = deviation * (size / CENTRE) ** (power / 2) * (shared + apart)
        found.append(Gains(size, [ratio * size for ratio in ratios], own + noise))
    return found


def count_covered(
    rng: np.random.Generator, repeats: int, draws: int, *, confidences: Sequence[float] = (0.8, 0.95), seeds: int = 3
) -> FloatArray:
    """The share of intervals that hold the law's gain, float [confidences], over all measured cells and one between
    them."""
    truth, held = find_gains(LAW), np.zeros(len(confidences))
    places = [(size, ratio * size) for size in (*SIZES, 200.0) for ratio in (*RATIOS, 6.0)]
    for _ in range(repeats):
        curve = fit_gains(measure_gains(rng, truth, seeds=seeds), draws, rng)
        for number, confidence in enumerate(confidences):
            for real, generated in places:
                ends = curve.find_interval(real, generated, confidence)
                assert ends is not None
                held[number] += ends[0] <= describe(real, generated) @ LAW <= ends[1]
    return np.asarray(held / (repeats * len(places)))
