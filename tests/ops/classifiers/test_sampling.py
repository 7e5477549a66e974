"""Weighted passes: counts against weights, the real share against its closed form."""

from __future__ import annotations

import math
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops.classifiers.sampling import iterate_batches, real_share, weighted_pass


@given(st.lists(st.integers(0, 6), min_size=1, max_size=30), st.integers(0, 1000))
def test_whole_weights_are_copied_exactly(weights: list[int], seed: int) -> None:
    drawn = weighted_pass(np.array(weights, dtype=float), np.random.default_rng(seed))
    assert np.bincount(drawn, minlength=len(weights)).tolist() == weights


@given(st.lists(st.floats(0, 4), min_size=1, max_size=6), st.integers(0, 1000))
@settings(max_examples=25, deadline=None, derandomize=True)
def test_fractions_are_drawn_with_their_probability(weights: list[float], seed: int) -> None:
    values, rng, passes = np.array(weights), np.random.default_rng(seed), 600
    counts = np.stack([np.bincount(weighted_pass(values, rng), minlength=len(values)) for _ in range(passes)])
    assert (counts >= np.floor(values)).all()
    assert (counts <= np.ceil(values)).all()
    fraction = values - np.floor(values)
    deviation = np.abs(counts.mean(axis=0) - values)
    assert (deviation <= 6 * np.sqrt(fraction * (1 - fraction) / passes) + 6 / passes).all()


def test_a_pass_is_shuffled() -> None:
    weights = np.ones(1000)
    first, second = (weighted_pass(weights, np.random.default_rng(seed)) for seed in (0, 1))
    assert abs(np.corrcoef(first, np.arange(1000))[0, 1]) < 4 / math.sqrt(1000)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(first, weighted_pass(weights, np.random.default_rng(0)))


@given(
    st.lists(st.floats(0, 3), min_size=1, max_size=10).filter(lambda weights: sum(weights) >= 1),
    st.integers(1, 25),
    st.integers(0, 12),
)
def test_there_are_exactly_as_many_batches_and_indices_as_asked_for(
    weights: list[float], batch_size: int, steps: int
) -> None:
    batches = list(iterate_batches(lambda step: np.array(weights), batch_size, steps, 0))
    assert len(batches) == steps
    for batch in batches:
        assert batch.shape == (batch_size,)
        assert all(weights[i] > 0 for i in batch)


def test_passes_are_joined_end_to_end_whatever_the_batch_size() -> None:
    weights = np.array([3.0, 1.0, 0.0, 2.0])
    for batch_size in (1, 4, 5, 13):
        stream = np.concatenate(list(iterate_batches(lambda step: weights, batch_size, 60 // batch_size + 1, 7)))
        for start in range(0, 60 - 6, 6):
            assert np.bincount(stream[start : start + 6], minlength=4).tolist() == [3, 1, 0, 2]


def test_batches_depend_on_the_seed_alone() -> None:
    def run(seed: int) -> np.ndarray:
        return np.concatenate(list(iterate_batches(lambda step: np.full(20, 1.5), 8, 10, seed)))

    np.testing.assert_array_equal(run(3), run(3))
    assert not np.array_equal(run(3), run(4))


def test_a_longer_run_starts_like_a_shorter_one() -> None:
    weights = np.full(9, 1.3)
    for short, long in zip(
        iterate_batches(lambda step: weights, 4, 5, 0),
        islice(iterate_batches(lambda step: weights, 4, 50, 0), 5),
        strict=True,
    ):
        np.testing.assert_array_equal(short, long)


@pytest.mark.parametrize("weights", [[1.0, -0.1, 5.0], [0.0, 0.0]])
def test_weights_that_make_no_pass_are_refused(weights: list[float]) -> None:
    with pytest.raises(ValueError, match="weights must be non-negative, and some above 0"):
        next(iterate_batches(lambda step: np.array(weights), 4, 1, 0))


def test_weights_that_sum_to_less_than_one_keep_their_proportions() -> None:
    drawn = np.concatenate(list(iterate_batches(lambda step: np.array([0.01, 0.03, 0.0]), 50, 80, 1)))
    assert np.bincount(drawn, minlength=3) / len(drawn) == pytest.approx([0.25, 0.75, 0], abs=0.03)


@pytest.mark.parametrize(("real_weight", "n_real", "n_generated"), [(10, 20, 80), (1, 30, 70), (2.5, 40, 100)])
def test_beta_is_the_share_of_real_images_that_training_sees(real_weight: float, n_real: int, n_generated: int) -> None:
    weights = np.concatenate([np.full(n_real, real_weight), np.ones(n_generated)])
    drawn = np.concatenate(list(iterate_batches(lambda step: weights, 50, 400, 1)))
    share = (drawn < n_real).mean()
    assert share == pytest.approx(real_share(real_weight, n_real, n_generated), abs=0.005)


def test_beta_has_its_closed_form() -> None:
    assert real_share(10, 100, 1000) == 0.5
    assert real_share(1, 100, 300) == 0.25
    assert real_share(10, 5, 0) == 1
    assert real_share(10, 0, 5) == 0


def test_a_pass_is_dropped_where_the_weights_change() -> None:
    early, late = np.array([1.0, 1.0, 0.0, 0.0]), np.array([0.0, 0.0, 2.0, 1.0])
    found = list(iterate_batches(lambda step: early if step < 3 else late.copy(), 3, 7, 0))
    assert all(set(batch) <= {0, 1} for batch in found[:3])
    assert np.bincount(np.concatenate(found[3:]), minlength=4).tolist() == [0, 0, 8, 4]
