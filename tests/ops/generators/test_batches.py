"""Batches of generators: counted by class and image, and streams that are independent of each other."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ops.generators.batches import draw_batch


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.integers(1, 40), st.integers(0, 1000))
@settings(max_examples=60)
def test_a_balanced_batch_has_every_class_equally_often_to_within_one(sizes: list[int], size: int, step: int) -> None:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    by_class = [np.flatnonzero(labels == c) for c in range(len(sizes))]
    batch = draw_batch(by_class, True, size, 3, step)
    counts = np.bincount(labels[batch], minlength=len(sizes))
    assert batch.shape == (size,)
    assert counts.max() - counts.min() <= 1


def test_over_many_steps_every_class_is_drawn_equally_often_even_if_the_batch_is_smaller_than_the_classes() -> None:
    by_class = [np.array([c]) for c in range(10)]
    for size in (4, 12):
        drawn = np.concatenate([draw_batch(by_class, True, size, 0, step) for step in range(500)])
        counts = np.bincount(drawn, minlength=10)
        assert counts.min() > 0.8 * counts.mean(), f"batch size {size}: {counts.tolist()}"


def test_an_unbalanced_batch_follows_the_classes_as_they_occur() -> None:
    by_class = [np.arange(0, 90), np.arange(90, 100)]
    drawn = np.concatenate([draw_batch(by_class, False, 64, 0, step) for step in range(200)])
    assert stats.chisquare(np.bincount(drawn, minlength=100)).pvalue > 0.01
    assert (drawn >= 90).mean() == pytest.approx(0.1, abs=0.015)


def test_a_balanced_batch_draws_evenly_within_a_class() -> None:
    by_class = [np.arange(0, 20), np.arange(20, 23)]
    drawn = np.concatenate([draw_batch(by_class, True, 64, 0, step) for step in range(200)])
    counts = np.bincount(drawn, minlength=23)
    assert stats.chisquare(counts[:20]).pvalue > 0.01
    assert stats.chisquare(counts[20:]).pvalue > 0.01


def test_a_batch_depends_on_seed_and_step_alone() -> None:
    by_class = [np.arange(50), np.arange(50, 100)]
    first = draw_batch(by_class, True, 32, 1, 5)
    np.testing.assert_array_equal(first, draw_batch(by_class, True, 32, 1, 5))
    for seed, step in ((1, 6), (2, 5), (5, 1)):
        assert not np.array_equal(first, draw_batch(by_class, True, 32, seed, step))


def test_a_second_stream_takes_every_class_equally_often_too() -> None:
    by_class = [np.array([c]) for c in range(7)]
    for size in (1, 3, 16):
        drawn = np.concatenate([draw_batch(by_class, True, size, 0, step, 1) for step in range(140)])
        counts = np.bincount(drawn, minlength=7)
        assert counts.max() - counts.min() <= 1, f"batch size {size}: {counts.tolist()}"


@pytest.mark.parametrize("balanced", [True, False])
@pytest.mark.parametrize("size", [1, 4])
def test_two_streams_are_independent_even_with_one_image_a_batch(balanced: bool, size: int) -> None:
    by_class = [np.array([0, 1, 2]), np.array([3]), np.array([4, 5])]
    labels = np.array([0, 0, 0, 1, 2, 2])
    table = np.zeros((3, 3))
    for step in range(3000 // size):
        one, other = (labels[draw_batch(by_class, balanced, size, 5, step, stream)] for stream in (0, 1))
        np.add.at(table, (one, other), 1)
    assert stats.chi2_contingency(table).pvalue > 0.01


def test_streams_of_one_step_have_images_of_their_own() -> None:
    by_class = [np.arange(50), np.arange(50, 100)]
    for balanced in (True, False):
        streams = [draw_batch(by_class, balanced, 32, 1, 5, stream) for stream in range(3)]
        assert not any(np.array_equal(one, other) for one, other in itertools.pairwise(streams))
