"""Bounds hold at any scale, and neighbours and ball members equal those of the definition."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ops.metrics import distances
from ops.metrics.distances import Comparison, find_nearest_distances, to_points


def draw(count: int, size: int = 8, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, size))


def compare(queries: np.ndarray, references: np.ndarray) -> Comparison:
    return Comparison(to_points(queries), to_points(references))


def measure_squared(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.square(a[:, None] - b[None]).sum(2)


@given(
    scale=st.sampled_from([1e-140, 1e-25, 1e-3, 1.0, 1e20, 1e130]),
    shift=st.sampled_from([0.0, 1.0, 1e6]),
    outlier=st.sampled_from([1.0, 1e3, 1e12]),
    size=st.sampled_from([1, 3, 64]),
    seed=st.integers(0, 1000),
)
@settings(max_examples=40, deadline=None)
def test_the_truth_lies_within_the_bounds(scale: float, shift: float, outlier: float, size: int, seed: int) -> None:
    queries, references = (draw(9, size, seed) + shift) * scale, (draw(7, size, seed + 1) + shift) * scale
    references[0] *= outlier
    queries[0] = references[3]  # a copy
    (block,) = compare(queries, references).blocks()
    truth = measure_squared(queries, references) * block.square
    assert (block.bounds <= truth).all()
    assert (truth <= block.bounds.astype(np.float64) + block.row_widths[:, None] + block.column_widths).all()


@given(
    points=st.lists(st.tuples(*[st.integers(0, 3)] * 2), min_size=5, max_size=40),
    neighbours=st.integers(1, 3),
    crowd=st.sampled_from([0, 2, 64]),
    entries=st.sampled_from([1, 100, 2**20]),
    scale=st.sampled_from([1.0, 2.0**-20, 2.0**300]),
)
@settings(max_examples=60, deadline=None)
def test_nearest_neighbours_are_all_found_among_ties_and_crowds(
    points: list[tuple[int, int]], neighbours: int, crowd: int, entries: int, scale: float
) -> None:
    known = np.array(points) * scale
    squared = measure_squared(known, known)
    np.fill_diagonal(squared, np.inf)
    expected = np.sort(squared, axis=1)[:, neighbours - 1]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(distances, "MAX_CANDIDATES", crowd)
        patch.setattr(distances, "BLOCK_ENTRIES", entries)
        blocks = list(compare(known, known).find_nearest(neighbours, own=np.arange(len(known))))
    found = np.concatenate([pairs.squared[pairs.firsts + neighbours - 1] for pairs in blocks])
    np.testing.assert_array_equal(found, expected)
    if crowd == 64:  # nothing was too crowded to have all that tie with the last
        for pairs in blocks:
            assert (np.bincount(pairs.rows, minlength=len(known)) >= (squared <= expected[:, None]).sum(1))[
                pairs.rows
            ].all()


def test_a_thousand_copies_of_one_image_are_handled() -> None:
    points = np.repeat(draw(1, 16), 1000, axis=0)
    points[500:] += 1e-9 * draw(500, 16, 1)  # all within what float32 can tell apart
    found = compare(points, points).find_nearest(5, own=np.arange(1000))
    radii = np.concatenate([pairs.squared[pairs.firsts + 4] for pairs in found])
    assert (radii[:500] == 0).all()
    assert (radii[500:] > 0).all()


def test_a_search_by_groups_of_columns_loses_no_neighbour() -> None:
    queries, references = draw(20, 4), draw(1003, 4, 1)
    (pairs,) = compare(queries, references).find_nearest(3)
    expected = np.sort(measure_squared(queries, references), axis=1)[:, 2]
    np.testing.assert_allclose(pairs.squared[pairs.firsts + 2], expected, rtol=1e-12)
    assert len(pairs.rows) < 20 * 8


def test_pairs_closer_than_a_limit_equal_those_by_differences() -> None:
    queries, references = draw(30, 5).astype(np.float32), draw(40, 5, 1).astype(np.float32)
    squared = measure_squared(queries.astype(np.float64), references.astype(np.float64))
    limits = squared[np.arange(40) % 30, np.arange(40)]  # each column's limit is one of its own distances
    (block,) = compare(queries, references).blocks()
    rows, columns = block.find_closer(limits[None])
    exact = block.comparison.measure(*(index.ravel() for index in np.indices(squared.shape))).reshape(squared.shape)
    tied = exact[np.arange(40) % 30, np.arange(40)]
    found = block.find_closer(tied[None])
    assert set(zip(*found, strict=True)) == set(zip(*np.nonzero(exact < tied), strict=True))
    assert len(rows) == pytest.approx((squared < limits).sum(), abs=40)  # rounding may move a tie, nothing else
    assert columns.max() < 40


@pytest.mark.parametrize("bad", [np.zeros(3), np.array([[np.nan]]), np.array([[1.0], [np.inf]]), np.array([[-1e151]])])
def test_other_shapes_and_values_are_refused(bad: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"allowed: \[n, d\]|not finite"):
        to_points(bad)


def test_points_that_are_all_equal_have_no_scale() -> None:
    (block,) = Comparison(torch.ones(3, 2).double(), torch.ones(4, 2).double()).blocks()
    assert not len(block.find_closer(np.zeros((1, 1)))[0])
    assert len(block.find_closer(np.full((1, 1), 1e-3))[0]) == 12


def test_the_distance_to_the_nearest_equals_the_definition() -> None:
    queries, references = draw(30, 5, 1), draw(200, 5, 2)
    queries[:3] = references[7]
    expected = np.sqrt(measure_squared(queries, references).min(axis=1))
    np.testing.assert_allclose(find_nearest_distances(queries, references), expected, rtol=1e-12)
    assert find_nearest_distances(queries[:0], references).shape == (0,)
