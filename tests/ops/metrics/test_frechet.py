"""The Fréchet distance: closed forms, the textbook formula by scipy's matrix root, and singular covariances."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm
from scipy.stats import ortho_group

from ops.metrics.frechet import Gaussian, fit_gaussian, frechet_distance


def draw(count: int, size: int, seed: int = 0) -> np.ndarray:
    """Correlated features, not centred."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, size)) @ rng.normal(size=(size, size)) + rng.normal(size=size)


def measure_by_textbook(a: np.ndarray, b: np.ndarray) -> float:
    first, second = np.cov(a.T), np.cov(b.T)
    shift = np.square(a.mean(0) - b.mean(0)).sum()
    return float(shift + np.trace(first + second - 2 * sqrtm(first @ second).real))


def test_a_gaussian_holds_mean_and_unbiased_covariance_in_float64() -> None:
    features = draw(30, 4).astype(np.float32)
    gaussian = fit_gaussian(features)
    assert gaussian.count == 30
    assert gaussian.mean.dtype == gaussian.covariance.dtype == np.float64
    np.testing.assert_allclose(gaussian.mean, features.astype(np.float64).mean(0), rtol=1e-12)
    np.testing.assert_allclose(gaussian.covariance, np.cov(features.astype(np.float64).T), rtol=1e-12)


def test_weights_stand_for_so_many_rows_of_a_sort() -> None:
    rng = np.random.default_rng(3)
    labels = np.repeat([0, 1], [30_000, 3_000])
    rows = rng.standard_normal((len(labels), 2)) + np.array([[0.0, 0.0], [4.0, 0.0]])[labels]
    found = fit_gaussian(rows, np.array([1.0, 10.0])[labels])
    assert found.mean == pytest.approx([2.0, 0.0], abs=0.05)
    assert found.covariance == pytest.approx(np.array([[5.0, 0.0], [0.0, 1.0]]), abs=0.1)
    equal, plain = fit_gaussian(rows[:50], np.full(50, 0.3)), fit_gaussian(rows[:50])
    assert equal.mean == pytest.approx(plain.mean) and equal.covariance == pytest.approx(plain.covariance)


@given(
    means=st.tuples(*[st.lists(st.floats(-50, 50), min_size=3, max_size=3)] * 2),
    deviations=st.tuples(*[st.lists(st.just(0.0) | st.floats(1e-3, 50), min_size=3, max_size=3)] * 2),
)
@settings(max_examples=60, deadline=None)
def test_diagonal_gaussians_have_a_closed_form(
    means: tuple[list[float], list[float]], deviations: tuple[list[float], list[float]]
) -> None:
    first, second = (Gaussian(np.array(m), np.diag(np.square(s)), 10) for m, s in zip(means, deviations, strict=True))
    expected = np.square(np.subtract(*means)).sum() + np.square(np.subtract(*deviations)).sum()
    assert frechet_distance(first, second) == pytest.approx(expected, rel=1e-9, abs=1e-7)


@pytest.mark.parametrize(("size", "counts"), [(1, (20, 30)), (5, (40, 200)), (32, (100, 64))])
def test_it_equals_the_textbook_formula(size: int, counts: tuple[int, int]) -> None:
    a, b = draw(counts[0], size, 1), draw(counts[1], size, 2)
    if size == 1:  # np.cov gives a scalar there
        expected = (a.mean() - b.mean()) ** 2 + (a.std(ddof=1) - b.std(ddof=1)) ** 2
    else:
        expected = measure_by_textbook(a, b)
    assert frechet_distance(fit_gaussian(a), fit_gaussian(b)) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("count", [2, 10, 64, 500])
def test_a_set_is_at_distance_zero_from_itself_also_when_its_covariance_is_singular(count: int) -> None:
    gaussian = fit_gaussian(draw(count, 64))
    assert frechet_distance(gaussian, gaussian) <= 1e-12 * np.trace(gaussian.covariance)


def test_shifting_a_singular_set_costs_the_square_of_the_shift() -> None:
    features, shift = draw(10, 64), np.random.default_rng(1).normal(size=64)
    found = frechet_distance(fit_gaussian(features), fit_gaussian(features + shift))
    assert found == pytest.approx(np.square(shift).sum(), rel=1e-9)


def test_scaling_a_singular_set_has_a_closed_form() -> None:
    features = draw(10, 64)
    centred = features - features.mean(0)
    found = frechet_distance(fit_gaussian(centred), fit_gaussian(3 * centred))
    assert found == pytest.approx(4 * np.trace(np.cov(centred.T)), rel=1e-9)  # (3 - 1)² of every deviation


def test_sets_in_orthogonal_planes_share_nothing() -> None:
    first, second = np.zeros((2, 8, 6))
    first[:, :3], second[:, 3:] = draw(8, 3, 1), draw(8, 3, 2)
    a, b = fit_gaussian(first - first.mean(0)), fit_gaussian(second - second.mean(0))
    assert frechet_distance(a, b) == pytest.approx(np.trace(a.covariance) + np.trace(b.covariance), rel=1e-12)


@pytest.mark.parametrize("count", [5, 100])
def test_it_is_symmetric_and_invariant_under_rotation(count: int) -> None:
    a, b = draw(count, 16, 1), draw(count + 3, 16, 2)
    found = frechet_distance(fit_gaussian(a), fit_gaussian(b))
    assert frechet_distance(fit_gaussian(b), fit_gaussian(a)) == pytest.approx(found, rel=1e-10)
    turn = ortho_group.rvs(16, random_state=3)
    assert frechet_distance(fit_gaussian(a @ turn), fit_gaussian(b @ turn)) == pytest.approx(found, rel=1e-10)


def test_constant_features_are_handled() -> None:
    still, moved = fit_gaussian(np.zeros((5, 3))), fit_gaussian(np.full((4, 3), 2.0))
    assert frechet_distance(still, still) == 0
    assert frechet_distance(still, moved) == 12


def test_fewer_features_of_one_distribution_lie_further_from_it() -> None:
    # This bias makes equal counts and a floor necessary.
    rng = np.random.default_rng(0)
    held_out = fit_gaussian(rng.normal(size=(400, 16)))
    few, some, many = (
        np.mean([frechet_distance(fit_gaussian(rng.normal(size=(count, 16))), held_out) for _ in range(10)])
        for count in (20, 80, 320)
    )
    assert few > 2 * some > 4 * many > 0


@pytest.mark.parametrize("features", [np.zeros((0, 3)), np.zeros((1, 3)), np.zeros(5)])
def test_too_few_features_are_refused(features: np.ndarray) -> None:
    with pytest.raises(ValueError, match="at least 2"):
        fit_gaussian(features)


def test_values_that_are_not_finite_and_unequal_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        fit_gaussian(np.array([[1.0, np.nan], [0.0, 1.0]]))
    with pytest.raises(ValueError, match="3 and 4 dimensions"):
        frechet_distance(fit_gaussian(draw(9, 3)), fit_gaussian(draw(9, 4)))
    with pytest.raises(ValueError, match="1 and 9"):
        frechet_distance(Gaussian(np.zeros(3), np.zeros((3, 3)), 1), fit_gaussian(draw(9, 3)))
