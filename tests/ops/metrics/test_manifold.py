"""Precision, recall, density, coverage: cases done by hand, and the definitions by brute force."""

from __future__ import annotations

from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops.metrics import distances
from ops.metrics.manifold import Overlap, compare_manifolds, fit_manifold


def compare(real: np.ndarray, generated: np.ndarray, neighbours: int = 5) -> Overlap:
    return compare_manifolds(fit_manifold(real, neighbours), fit_manifold(generated, neighbours))


def draw(count: int, size: int = 8, seed: int = 0, spread: float = 1.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(scale=spread, size=(count, size))


def measure_squared(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.square(a[:, None].astype(np.float64) - b[None].astype(np.float64)).sum(2)


def compare_by_definition(real: np.ndarray, generated: np.ndarray, k: int) -> Overlap:
    """Naeem et al. 2020, eq. 1-4, one entry of the distance matrix at a time."""
    # Sorted with itself at 0 in front, the k-th neighbour is entry k.
    real_radii = np.sort(measure_squared(real, real), axis=1)[:, k]
    generated_radii = np.sort(measure_squared(generated, generated), axis=1)[:, k]
    squared = measure_squared(generated, real)
    return Overlap(
        precision=float((squared < real_radii).any(1).mean()),
        recall=float((squared < generated_radii[:, None]).any(0).mean()),
        density=float((squared < real_radii).sum() / (k * len(generated))),
        coverage=float((squared.min(0) < real_radii).mean()),
    )


def test_points_on_a_line_done_by_hand() -> None:
    real = np.array([[0.0], [1.0], [3.0], [7.0]])  # radii for k = 1: 1, 1, 2, 4
    generated = np.array([[0.5], [2.5], [20.0]])  # radii: 2, 2, 17.5
    # 0.5 lies in the balls of 0 and 1; 2.5 in that of 3 alone (7 is 4.5 away); 20 in none.
    # 0, 1 lie in the ball of 0.5; 1 and 3 in that of 2.5; 3 (17 away) and 7 in that of 20.
    assert compare(real, generated, 1) == Overlap(precision=2 / 3, recall=1.0, density=3 / 3, coverage=3 / 4)


def test_a_point_on_the_surface_is_outside() -> None:
    real = np.array([[0.0], [1.0]])
    assert compare(real, np.array([[2.0], [-1.0]]), 1) == Overlap(0.0, 1.0, 0.0, 0.0)


def test_a_collapsed_generator_is_precise_and_recalls_little() -> None:
    real = np.concatenate([draw(100, seed=1), draw(100, seed=2) + 50])
    found = compare(real, draw(200, seed=3, spread=0.1))  # one of two modes, and only its middle
    assert found.precision > 0.95
    assert found.recall < 0.1
    assert found.coverage < 0.6


def test_a_generator_that_also_draws_nonsense_recalls_and_is_imprecise() -> None:
    found = compare(draw(200, seed=1), np.concatenate([draw(200, seed=2), draw(200, seed=3) + 50]))
    assert found.precision < 0.6
    assert found.recall > 0.8
    assert found.coverage > 0.9


def test_coverage_is_the_share_of_real_balls_that_are_hit() -> None:
    real = np.concatenate([draw(30, seed=1, spread=0.1), draw(10, seed=2, spread=0.1) + 50])
    generated = np.concatenate([real[:30], real[:30] + 1e-6])
    found = compare(real, generated)
    assert found.coverage == 0.75
    assert found.recall == 0.75
    assert found.precision == 1


def test_density_exceeds_one_where_many_real_balls_overlap() -> None:
    assert compare(draw(200, seed=1), draw(50, seed=2, spread=0.05)).density > 2


def test_copies_of_all_real_points_score_exactly_1_in_all_four() -> None:
    # Each ball holds its own copy and k - 1 others; the k-th is on the surface: density 1 only if that is outside.
    real = draw(300, 64)
    assert compare(real, real.copy()) == Overlap(1.0, 1.0, 1.0, 1.0)
    assert compare(real, real[::-1]) == Overlap(1.0, 1.0, 1.0, 1.0)


def test_duplicates_have_radius_0_and_empty_balls() -> None:
    real = np.repeat(draw(4, 64), 7, axis=0)  # more repeats than neighbours
    assert (fit_manifold(real).squared_radii == 0).all()
    assert compare(real, real) == Overlap(0.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize("entries", [1, 1000, 2**21])
@pytest.mark.parametrize(("real", "generated", "size", "k"), [(60, 45, 3, 5), (20, 70, 64, 5), (8, 6, 2, 1)])
def test_it_equals_the_definition(
    real: int, generated: int, size: int, k: int, entries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distances, "BLOCK_ENTRIES", entries)
    known, asked = draw(real, size, 1), draw(generated, size, 2, spread=0.8)
    assert astuple(compare(known, asked, k)) == pytest.approx(astuple(compare_by_definition(known, asked, k)))
    known, asked = known.astype(np.float32), asked.astype(np.float32)
    assert astuple(compare(known, asked, k)) == pytest.approx(astuple(compare_by_definition(known, asked, k)))


@given(
    real=st.lists(st.tuples(*[st.integers(0, 5)] * 2), min_size=4, max_size=20),
    generated=st.lists(st.tuples(*[st.integers(0, 5)] * 2), min_size=4, max_size=20),
    k=st.integers(1, 3),
    scale=st.sampled_from([1.0, 2.0**-20]),
    pairs=st.sampled_from([1, 7, 2**16]),
)
@settings(max_examples=80, deadline=None)
def test_ties_and_repeats_are_decided_as_the_definition_does(
    real: list[tuple[int, int]], generated: list[tuple[int, int]], k: int, scale: float, pairs: int
) -> None:
    known, asked = np.array(real) * scale, np.array(generated) * scale  # exact in floating point, so ties are ties
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distances, "PAIRS_AT_ONCE", pairs)
        found = compare(known, asked, k)
    assert astuple(found) == pytest.approx(astuple(compare_by_definition(known, asked, k)))


def test_each_set_has_its_own_number_of_neighbours_and_density_divides_by_that_of_the_real() -> None:
    real, generated = draw(60, seed=1), draw(30, seed=2)
    mixed = compare_manifolds(fit_manifold(real, 3), fit_manifold(generated, 5))
    assert mixed.recall == pytest.approx(compare_by_definition(real, generated, 5).recall)
    assert mixed.density == pytest.approx(compare_by_definition(real, generated, 3).density)


@pytest.mark.parametrize(("count", "neighbours"), [(5, 5), (0, 1), (9, 0)])
def test_too_few_points_are_refused(count: int, neighbours: int) -> None:
    with pytest.raises(ValueError, match="allowed: 1 to n - 1"):
        fit_manifold(draw(count), neighbours)


def test_features_of_different_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="8 and 9 dimensions"):
        compare(draw(9, 8), draw(9, 9))
