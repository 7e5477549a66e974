"""The kernel distance: cases done by hand, the definition pair by pair, and the jackknife by leaving images out."""

from __future__ import annotations

import numpy as np
import pytest

from ops.metrics import kernel
from ops.metrics.kernel import estimate_kernel_distance, fit_kernel
from ops.statistics.intervals import Estimate


def estimate(a: np.ndarray, b: np.ndarray) -> Estimate:
    return estimate_kernel_distance(fit_kernel(a), fit_kernel(b))


def draw(count: int, size: int = 6, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, size))


def measure_by_definition(x: np.ndarray, y: np.ndarray) -> float:
    """Bińkowski et al. 2018, eq. 4 with section 3's kernel, as in torch-fidelity's mmd2 for equal counts."""
    kernel_of = lambda a, b: (a @ b.T / a.shape[1] + 1) ** 3  # noqa: E731
    within = [k[~np.eye(len(k), dtype=bool)].mean() for k in (kernel_of(x, x), kernel_of(y, y))]
    return float(sum(within) - 2 * kernel_of(x, y).mean())


def test_sets_of_one_point_each_have_a_closed_form() -> None:
    # k(0, 0) = 1; k(2, 2) = 5³; k(0, 2) = 1
    assert estimate(np.zeros((4, 1)), np.full((3, 1), 2.0)).value == pytest.approx(1 + 125 - 2)


def test_equal_sets_are_a_little_nearer_than_equal_sources() -> None:
    # The diagonal is left out within a set, but not between sets: a difference of 2/n times the excess self-similarity.
    points = draw(30)
    similar = (points @ points.T / 6 + 1) ** 3
    expected = 2 / 30 * (similar[~np.eye(30, dtype=bool)].mean() - np.diag(similar).mean())
    assert estimate(points, points).value == pytest.approx(expected, rel=1e-12)
    assert expected < 0


@pytest.mark.parametrize("block", [1, 7, 512])
@pytest.mark.parametrize(("first", "second", "size"), [(20, 20, 6), (3, 50, 1), (40, 15, 64)])
def test_it_equals_the_definition(
    first: int, second: int, size: int, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel, "BLOCK", block)
    a, b = draw(first, size, 1), draw(second, size, 2) + 0.3
    assert estimate(a, b).value == pytest.approx(measure_by_definition(a, b), rel=1e-10)
    assert estimate(b, a).value == pytest.approx(estimate(a, b).value, rel=1e-10)


def test_influences_equal_those_of_the_jackknife() -> None:
    a, b = draw(9, 4, 1), draw(7, 4, 2) * 1.5
    found = estimate(a, b)
    without_a = np.array([measure_by_definition(np.delete(a, i, 0), b) for i in range(9)])
    without_b = np.array([measure_by_definition(a, np.delete(b, i, 0)) for i in range(7)])
    np.testing.assert_allclose(found.influences[0], 8 * (without_a.mean() - without_a), rtol=1e-8)
    np.testing.assert_allclose(found.influences[1], 6 * (without_b.mean() - without_b), rtol=1e-8)
    jackknife = 8 / 9 * np.square(without_a - without_a.mean()).sum()
    jackknife += 6 / 7 * np.square(without_b - without_b.mean()).sum()
    assert found.error == pytest.approx(np.sqrt(jackknife), rel=1e-8)


def test_it_is_not_biased_by_the_number_of_images() -> None:
    rng = np.random.default_rng(0)
    few = [estimate(rng.normal(size=(5, 4)), rng.normal(size=(5, 4))).value for _ in range(400)]
    assert abs(np.mean(few)) < 3 * np.std(few) / 20


def test_its_interval_covers_the_true_distance() -> None:
    # N(0, 1) and N(1, 1) in one dimension: (xy + 1)³ compares the first three moments, 0, 1, 0 with 1, 2, 4.
    truth = 3 * (0 - 1) ** 2 + 3 * (1 - 2) ** 2 + (0 - 4) ** 2
    rng, held = np.random.default_rng(1), 0
    for _ in range(200):
        found = estimate(rng.normal(size=(80, 1)), rng.normal(size=(80, 1)) + 1)
        held += abs(found.value - truth) < 1.96 * found.error
    assert 0.87 <= held / 200 <= 0.99


def test_too_few_features_and_unequal_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 3"):
        fit_kernel(draw(2))
    with pytest.raises(ValueError, match="6 and 5 dimensions"):
        estimate(draw(5), draw(5, 5))
