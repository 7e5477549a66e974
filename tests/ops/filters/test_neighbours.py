"""Nearest neighbours: against scikit-learn, and repeats against the definition written as two loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import NearestNeighbors

from ops.filters import neighbours
from ops.filters.neighbours import find_nearest, find_repeats, make_thumbnails, measure_spacing


def draw(count: int, size: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(count, size, generator=torch.Generator().manual_seed(seed))


def find_repeats_slowly(rows: np.ndarray, limits: np.ndarray) -> tuple[list[float], list[int], list[int]]:
    """Distance, index and the kept rows, by the definition."""
    kept: list[int] = []
    nearest, index = [], []
    for row, values in enumerate(rows.astype(np.float64)):
        distances = [float(np.linalg.norm(values - rows[other].astype(np.float64))) for other in kept]
        nearest.append(min(distances, default=np.inf))
        index.append(kept[int(np.argmin(distances))] if distances else -1)
        if nearest[-1] >= limits[row]:
            kept.append(row)
    return nearest, index, kept


@pytest.mark.parametrize("block", [7, 50, 4096])
@pytest.mark.parametrize(("queries", "references", "size"), [(50, 80, 3), (33, 20, 256), (1, 1, 5)])
def test_nearest_neighbours_equal_those_of_scikit_learn(
    block: int, queries: int, references: int, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neighbours, "BLOCK", block)
    asked, known = draw(queries, size, 1), draw(references, size, 2)
    distance, index = find_nearest(asked, known)
    expected, where = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(known.double()).kneighbors(asked.double())
    np.testing.assert_allclose(distance, expected[:, 0], rtol=1e-5)
    np.testing.assert_array_equal(index, where[:, 0])
    assert distance.dtype == np.float32
    assert index.dtype == np.int64


@pytest.mark.parametrize("block", [7, 4096])
def test_a_row_is_not_its_own_neighbour_when_told_so(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "BLOCK", block)
    rows = draw(40, 12)
    distance, index = find_nearest(rows, rows, exclude_self=True)
    expected, where = NearestNeighbors(n_neighbors=1, algorithm="brute").fit(rows.double()).kneighbors()
    np.testing.assert_allclose(distance, expected[:, 0], rtol=1e-5)
    np.testing.assert_array_equal(index, where[:, 0])
    assert (index != np.arange(40)).all()


def test_copies_are_at_distance_zero_exactly() -> None:
    # Large norms: the expanded square alone would leave rounding errors of about 0.01 here.
    known = draw(60, 768) * 0.01 + 0.99
    distance, index = find_nearest(known[[5, 59, 0]], known)
    assert distance.tolist() == [0, 0, 0]
    assert index.tolist() == [5, 59, 0]
    doubled = torch.cat([known, known[:10]])
    distance, index = find_nearest(doubled, doubled, exclude_self=True)
    assert (distance[[*range(10), *range(60, 70)]] == 0).all()
    assert (distance[10:60] > 0).all()
    np.testing.assert_array_equal(index[60:], np.arange(10))


def test_rows_that_occur_twice_take_the_usual_spacing() -> None:
    rows = torch.tensor([[0.0], [1.0], [3.0], [6.0], [20.0], [20.0]])
    np.testing.assert_array_equal(measure_spacing(rows), np.array([1, 1, 2, 3, 1.5, 1.5], np.float32))
    assert measure_spacing(rows).dtype == np.float32
    assert measure_spacing(torch.zeros(3, 2)).tolist() == [1, 1, 1]


def test_thumbnails_are_area_averages_in_0_to_1() -> None:
    images = torch.randint(0, 256, (5, 3, 32, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    expected = images.double().reshape(5, 3, 16, 2, 16, 4).mean(dim=(3, 5)) / 255
    np.testing.assert_allclose(make_thumbnails(images), expected.flatten(1), atol=1e-6)


@pytest.mark.parametrize(("shape", "size"), [((1, 28, 28), 256), ((3, 8, 40), 3 * 8 * 16), ((1, 5, 5), 25)])
def test_small_sides_are_kept_and_large_ones_end_at_16(shape: tuple[int, int, int], size: int) -> None:
    for count in (0, 4):
        thumbnails = make_thumbnails(torch.full((count, *shape), 255, dtype=torch.uint8))
        assert thumbnails.shape == (count, size)
        assert (thumbnails == 1).all()


def test_thumbnails_do_not_depend_on_the_block(monkeypatch: pytest.MonkeyPatch) -> None:
    images = torch.randint(0, 256, (20, 1, 28, 28), dtype=torch.uint8)
    whole = make_thumbnails(images)
    monkeypatch.setattr(neighbours, "BLOCK", 6)
    assert torch.equal(make_thumbnails(images), whole)


def test_of_a_cluster_the_first_survives_and_the_others_point_to_it() -> None:
    centres = torch.tensor([[0.0, 0.0], [10.0, 0.0], [0.0, 10.0]])
    order = [0, 1, 0, 0, 2, 1, 2, 0]
    rows = centres[order] + 0.01 * draw(8, 2)
    nearest, index = find_repeats(rows, np.full(8, 1.0))
    assert np.flatnonzero(nearest < 1).tolist() == [2, 3, 5, 6, 7]
    assert index[[2, 3, 5, 6, 7]].tolist() == [0, 0, 1, 4, 0]
    assert nearest[0] == np.inf
    assert index[0] == -1


def test_a_chain_is_thinned_and_not_swallowed() -> None:
    # 0.0, 0.4, 0.8, …: each is near the one before, but a rejected row rejects nobody.
    rows = torch.arange(10)[:, None] * 0.4
    nearest, _ = find_repeats(rows, np.full(10, 1.0))
    assert np.flatnonzero(nearest >= 1).tolist() == [0, 3, 6, 9]


@given(
    values=st.lists(st.tuples(*[st.integers(0, 12)] * 2), min_size=1, max_size=30),
    halves=st.integers(0, 12),
    block=st.integers(1, 40),
)
@settings(max_examples=80, deadline=None)
def test_repeats_equal_the_definition_and_kept_rows_lie_apart(
    values: list[tuple[int, int]], halves: int, block: int
) -> None:
    rows = np.array(values, dtype=np.float32)
    limit = halves / 2  # distances are roots of whole numbers: none is equal to a limit but for rounding
    limits = np.full(len(rows), limit)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neighbours, "BLOCK", block)
        nearest, index = find_repeats(torch.from_numpy(rows), limits)
    expected, where, kept = find_repeats_slowly(rows, limits)
    np.testing.assert_allclose(nearest, expected, rtol=1e-6)
    assert index.tolist() == where
    survivors = np.flatnonzero(nearest >= limit)
    assert survivors.tolist() == kept
    gaps = np.linalg.norm(rows[survivors][:, None] - rows[survivors][None], axis=2)
    assert (gaps[~np.eye(len(survivors), dtype=bool)] >= limit).all()


def test_each_row_has_a_limit_of_its_own() -> None:
    rows = torch.tensor([[0.0], [1.0], [2.0], [2.1]])
    nearest, index = find_repeats(rows, np.array([0.0, 1.5, 0.5, 0.05]))
    # Row 1 is rejected by its own limit, so row 2 measures to row 0; row 3's own limit is small enough.
    np.testing.assert_allclose(nearest, [np.inf, 1, 2, 0.1], rtol=1e-5)
    assert index.tolist() == [-1, 0, 0, 2]


def test_nothing_repeats_in_an_empty_set() -> None:
    nearest, index = find_repeats(torch.empty(0, 4), np.empty(0))
    assert (len(nearest), len(index)) == (0, 0)
