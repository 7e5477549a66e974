"""Intervals: Wilson's by scipy, errors by formula, influences by changing weights, and coverage of the truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binomtest

from ops.metrics.frechet import Gaussian, estimate_frechet, fit_gaussian, frechet_distance
from ops.metrics.vendi import estimate_vendi
from ops.statistics.intervals import Estimate, average, find_interval, find_share_interval


@pytest.mark.parametrize(("hits", "count"), [(0, 1), (0, 40), (3, 40), (20, 40), (40, 40), (9999, 10000)])
def test_a_share_has_wilsons_interval(hits: int, count: int) -> None:
    expected = binomtest(hits, count).proportion_ci(method="wilson")
    assert find_share_interval(hits / count, count) == pytest.approx((expected.low, expected.high), abs=1e-6)


def test_a_share_of_all_or_none_still_has_an_interval() -> None:
    low, high = find_share_interval(1.0, 30)
    assert (low, high) == (pytest.approx(0.886, abs=0.001), 1.0)
    assert find_share_interval(0.0, 30) == (0.0, pytest.approx(1 - low))
    for share, count in ((1.1, 5), (-0.1, 5), (0.5, 0)):
        with pytest.raises(ValueError, match="impossible"):
            find_share_interval(share, count)


def test_the_error_is_that_of_a_mean_and_of_a_difference_of_means() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=20), rng.normal(size=30)
    mean = Estimate(a.mean(), (a - a.mean(),))
    assert mean.error == pytest.approx(a.std(ddof=1) / np.sqrt(20))
    difference = Estimate(a.mean() - b.mean(), (a - a.mean(), b.mean() - b))
    assert difference.error == pytest.approx(np.sqrt(a.var(ddof=1) / 20 + b.var(ddof=1) / 30))
    low, high = find_interval(difference)
    assert (high - low) / 2 == pytest.approx(1.96 * difference.error, rel=1e-4)
    assert find_interval(difference, lowest=low + 0.01, highest=high - 0.01) == (low + 0.01, high - 0.01)


def test_numbers_of_the_same_images_are_averaged_with_their_influences() -> None:
    first, second = Estimate(1.0, (np.array([1.0, -1.0]),)), Estimate(2.0, (np.array([-1.0, 1.0]),))
    found = average([first, second])
    assert found.value == 1.5
    assert found.error == 0  # what raises one lowers the other
    assert average([first, first]).error == first.error


def fit_weighted(features: np.ndarray, weights: np.ndarray) -> Gaussian:
    mean = weights @ features / weights.sum()
    centred = features - mean
    covariance = (centred * weights[:, None]).T @ centred / weights.sum() * len(features) / (len(features) - 1)
    return Gaussian(mean, covariance, len(features))


@pytest.mark.parametrize(("counts", "size"), [((40, 30), 5), ((9, 7), 20), ((30, 6), 12)])
def test_influences_equal_the_change_of_the_frechet_distance_by_an_images_weight(
    counts: tuple[int, int], size: int
) -> None:
    rng, step = np.random.default_rng(1), 1e-4
    sets = [rng.normal(size=(count, size)) * (1 + side) for side, count in enumerate(counts)]
    found = estimate_frechet(sets[0], sets[1])
    assert found.value == pytest.approx(frechet_distance(fit_gaussian(sets[0]), fit_gaussian(sets[1])))
    for side in (0, 1):
        other = fit_gaussian(sets[1 - side])
        for row in range(3):
            moved = []
            for change in (step, -step):
                weights = np.ones(counts[side])
                weights[row] += change
                moved.append(frechet_distance(fit_weighted(sets[side], weights), other))
            gained = (moved[0] - moved[1]) / (2 * step) * counts[side]
            assert found.influences[side][row] == pytest.approx(gained, rel=1e-3, abs=1e-3 * found.value)


@pytest.mark.parametrize("count", [20, 120])
def test_95_of_100_intervals_cover_the_expected_value_for_as_many_images(count: int) -> None:
    rng = np.random.default_rng(2)
    spread = np.linspace(0.5, 2, 6)
    found = []
    for _ in range(150):
        real, generated = (rng.normal(size=(2, count, 6)) + 1) * spread
        found.append((estimate_frechet(real, 0.7 * generated + 0.4), estimate_vendi(generated)))
    for estimates in zip(*found, strict=True):
        expected = np.mean([estimate.value for estimate in estimates])
        held = [low <= expected <= high for low, high in map(find_interval, estimates)]
        assert 0.86 <= np.mean(held) <= 1


def test_a_perfect_generators_interval_is_too_wide_rather_than_too_narrow() -> None:
    rng = np.random.default_rng(3)
    found = [estimate_frechet(*rng.normal(size=(2, 60, 8))) for _ in range(150)]
    values, errors = np.array([(estimate.value, estimate.error) for estimate in found]).T
    assert 1 < errors.mean() / values.std(ddof=1) < 1.7
