"""The energy distance: its definition, its known values, its bias and its standard errors."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import energy_distance

from ops.metrics.energy import estimate_energy_distance


def draw(count: int, size: int = 3, shift: float = 0.0, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(shift, 1, (count, size))


def test_it_is_the_sum_over_all_pairs_of_different_images() -> None:
    a, b = draw(7), draw(5, shift=1.0, seed=1)
    across = np.mean([np.linalg.norm(x - y) for x in a for y in b])
    within = [
        np.mean([np.linalg.norm(x - y) for i, x in enumerate(s) for j, y in enumerate(s) if i != j]) for s in (a, b)
    ]
    assert estimate_energy_distance(a, b).value == pytest.approx(2 * across - sum(within), abs=1e-10)


def test_in_one_dimension_it_is_twice_the_integral_of_the_squared_difference_of_the_distributions() -> None:
    a, b = draw(3000, 1), draw(3000, 1, shift=1.0, seed=1)
    # SciPy's has the pairs of an image with itself, and is the square root.
    assert estimate_energy_distance(a, b).value == pytest.approx(energy_distance(a[:, 0], b[:, 0]) ** 2, abs=3e-3)


def test_far_sets_are_as_far_as_their_means() -> None:
    a, b = draw(200), draw(200, shift=1000.0, seed=1)
    expected = 2 * 1000 * math.sqrt(3)
    assert estimate_energy_distance(a, b).value == pytest.approx(expected, rel=0.01)


def test_equal_sources_have_distance_0_however_few_the_images_and_errors_are_right() -> None:
    found = [estimate_energy_distance(draw(12, 8, seed=2 * i), draw(30, 8, seed=2 * i + 1)) for i in range(300)]
    values = np.array([estimate.value for estimate in found])
    assert abs(values.mean()) < 4 * values.std() / math.sqrt(len(values))
    # For different sources the jackknife's error is the spread over repetitions.
    found = [estimate_energy_distance(draw(40, 8, seed=2 * i), draw(60, 8, 0.8, seed=2 * i + 1)) for i in range(300)]
    spread = np.std([estimate.value for estimate in found])
    assert np.mean([estimate.error for estimate in found]) == pytest.approx(spread, rel=0.15)


def test_each_influence_is_what_the_number_loses_without_the_image() -> None:
    a, b = draw(6), draw(5, shift=1.0, seed=1)
    found = estimate_energy_distance(a, b)
    for side, count in ((0, 6), (1, 5)):
        without = []
        for i in range(count):
            parts = [np.delete(s, i, axis=0) if place == side else s for place, s in enumerate((a, b))]
            without.append(estimate_energy_distance(*parts).value)
        expected = (count - 1) * (np.mean(without) - np.array(without))
        np.testing.assert_allclose(found.influences[side], expected, atol=1e-9)


def test_too_few_images_and_other_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="2 and 5 features"):
        estimate_energy_distance(draw(2), draw(5))
    with pytest.raises(ValueError, match="3 and 4 dimensions"):
        estimate_energy_distance(draw(5, 3), draw(5, 4))
