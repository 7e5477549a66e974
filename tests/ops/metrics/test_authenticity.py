"""Authenticity: cases done by hand, ties, and the definition by brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops.metrics.authenticity import find_authentic


def draw(count: int, size: int = 6, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, size))


def decide_by_definition(generated: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Alaa et al. 2022, section 4; of several nearest training points the one with the widest spacing."""
    among = np.square(train[:, None] - train[None]).sum(2)
    np.fill_diagonal(among, np.inf)
    spacing = among.min(1)
    squared = np.square(generated[:, None] - train[None]).sum(2)
    nearest = squared.min(1)
    widest = np.where(squared == nearest[:, None], spacing, -1).max(1)
    return nearest > widest


def test_points_on_a_line_done_by_hand() -> None:
    train = np.array([[0.0], [1.0], [5.0]])  # spacings 1, 1, 4
    generated = np.array([[0.1], [-1.0], [-1.5], [3.5], [9.5], [1.9]])
    # -1 lies as far from 0 as 1 does: a tie is a copy. 3.5 is 1.5 from 5, whose neighbour is 4 away.
    assert find_authentic(generated, train).tolist() == [False, False, True, False, True, False]


def test_training_images_are_not_authentic_even_if_duplicated() -> None:
    train = draw(50)
    assert not find_authentic(train, train).any()
    twice = np.concatenate([train, train])
    assert not find_authentic(train, twice).any()
    assert find_authentic(train + 1e-9, twice).all()  # no nearer than the other copy: the definition's blind spot


def test_a_generator_that_memorises_scores_low_and_a_perfect_one_as_held_out_images_do() -> None:
    train, held_out, perfect = draw(400, seed=1), draw(400, seed=2), draw(400, seed=3)
    memorised = train + 0.05 * draw(400, seed=4)
    reference = find_authentic(held_out, train).mean()
    assert 0.4 < reference < 0.8
    assert find_authentic(perfect, train).mean() == pytest.approx(reference, abs=0.1)
    assert find_authentic(memorised, train).mean() < 0.02


@given(
    train=st.lists(st.tuples(*[st.integers(0, 4)] * 2), min_size=2, max_size=20),
    generated=st.lists(st.tuples(*[st.integers(0, 4)] * 2), min_size=1, max_size=20),
)
@settings(max_examples=60, deadline=None)
def test_it_equals_the_definition_with_ties_and_repeats(
    train: list[tuple[int, int]], generated: list[tuple[int, int]]
) -> None:
    known, asked = np.array(train, float), np.array(generated, float)
    np.testing.assert_array_equal(find_authentic(asked, known), decide_by_definition(asked, known))
    np.testing.assert_array_equal(find_authentic(asked, known[::-1]), decide_by_definition(asked, known))


def test_it_equals_the_definition_on_many_features() -> None:
    asked, known = draw(300, 20, 1), draw(200, 20, 2).astype(np.float32)
    np.testing.assert_array_equal(find_authentic(asked, known), decide_by_definition(asked, known.astype(np.float64)))


def test_too_few_training_features_and_unequal_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 2 training features"):
        find_authentic(draw(5), draw(1))
    with pytest.raises(ValueError, match="the same size"):
        find_authentic(draw(5), draw(5, 7))
