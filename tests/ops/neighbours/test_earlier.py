"""The nearest earlier row of a group, against the definition; clusters against the exact search."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ops.neighbours import clusters, scan, search
from ops.neighbours.clusters import Clustering, fit_centres
from ops.neighbours.earlier import Earlier, count_pairs, find_earlier, split_groups
from ops.neighbours.rows import Rows

PRECISIONS = ["fp32", "bf16"]


def draw(count: int, width: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed))


def find_slowly(rows: np.ndarray, groups: np.ndarray, since: int) -> tuple[np.ndarray, np.ndarray]:
    """By the definition, row by row."""
    distances, indices = np.full(len(rows), np.inf, np.float32), np.full(len(rows), -1, np.int64)
    for row in range(len(rows)):
        earlier = np.flatnonzero(groups[:row] == groups[row])
        if len(earlier):
            differences = rows[earlier].astype(np.float64) - rows[row].astype(np.float64)
            found = np.sqrt(np.square(differences).sum(axis=1)).astype(np.float32)
            distances[row], indices[row] = found.min(), earlier[found.argmin()]
    return distances[since:], indices[since:]


def check(found: Earlier, rows: torch.Tensor, groups: np.ndarray, since: int = 0) -> None:
    distances, indices = find_slowly(rows.float().numpy(), groups, since)
    np.testing.assert_array_equal(found.distances, distances)
    np.testing.assert_array_equal(found.indices, indices)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(
    ("count", "width", "kinds", "since"),
    [(1500, 40, 2, 0), (1200, 8, 1, 0), (600, 33, 5, 500), (1, 2, 1, 0), (7, 3, 9, 7), (0, 3, 1, 0)],
)
def test_equals_the_definition(precision: str, count: int, width: int, kinds: int, since: int) -> None:
    rows = draw(count, width)
    rows[count // 2 : count // 2 + count // 4] = rows[: count // 4]
    groups = np.random.default_rng(0).integers(kinds, size=count)
    found = find_earlier(rows, groups, since=since, precision=precision)
    check(found, rows, groups, since)
    assert found.recalls == {}
    assert found.distances.dtype == np.float32
    assert found.indices.dtype == np.int64


@settings(max_examples=30, deadline=None)
@given(
    points=st.lists(st.tuples(st.integers(-2, 2), st.integers(-2, 2), st.integers(0, 2)), max_size=30),
    share=st.floats(0, 1),
    precision=st.sampled_from(PRECISIONS),
)
def test_points_of_a_lattice_with_many_ties(points: list[tuple[int, int, int]], share: float, precision: str) -> None:
    table = np.array(points, dtype=np.int64).reshape(-1, 3)
    rows, groups, since = torch.from_numpy(table[:, :2]).float(), table[:, 2], int(share * len(table))
    check(find_earlier(rows, groups, since=since, precision=precision), rows, groups, since)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_block_sizes_change_nothing(precision: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "QUERIES", 17)
    monkeypatch.setattr(scan, "TILE", 32)
    monkeypatch.setattr(search, "SLAB", 33 * 70)
    rows, groups = draw(300, 33), np.arange(300) % 2
    check(find_earlier(rows, groups, precision=precision), rows, groups)


def test_a_row_that_comes_later_changes_nothing_before() -> None:
    rows, groups = draw(200, 9), np.arange(200) % 3
    whole, first = find_earlier(rows, groups), find_earlier(rows[:120], groups[:120])
    rest = find_earlier(rows, groups, since=120)
    np.testing.assert_array_equal(whole.indices, np.concatenate([first.indices, rest.indices]))
    np.testing.assert_array_equal(whole.distances, np.concatenate([first.distances, rest.distances]))


def test_half_the_products_of_all_pairs_are_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "QUERIES", 64)
    monkeypatch.setattr(scan, "TILE", 64)
    computed = 0
    multiply = torch.mm

    def count(a: torch.Tensor, b: torch.Tensor, *, out: torch.Tensor) -> torch.Tensor:
        nonlocal computed
        computed += out.numel()
        return multiply(a, b, out=out)

    monkeypatch.setattr(torch, "mm", count)
    find_earlier(draw(2048, 8), np.zeros(2048, np.int64), precision="fp32")
    assert count_pairs(0, 2048) <= computed < 1.1 * count_pairs(0, 2048)


def test_a_memory_map_and_bf16_rows_are_read_where_they_lie(tmp_path: Path) -> None:
    rows, groups = draw(300, 16).bfloat16(), np.arange(300) % 2
    np.save(tmp_path / "rows.npy", rows.float().numpy())
    check(find_earlier(np.load(tmp_path / "rows.npy", mmap_mode="r"), groups), rows, groups)
    check(find_earlier(rows, groups), rows, groups)


def test_groups_are_split_in_the_order_of_their_numbers() -> None:
    parts = list(split_groups(np.array([5, 0, 5, -1, 0])))
    assert [part.tolist() for part in parts] == [[3], [1, 4], [0, 2]]
    assert list(split_groups(np.array([], dtype=np.int64))) == []


@pytest.mark.parametrize(
    ("groups", "since", "message"),
    [
        (np.zeros(4, np.int64), 0, "5 rows need as many integers"),
        (np.zeros(5), 0, "groups are float64"),
        (np.zeros(5, np.int64), 6, "since is 6; allowed: 0 to 5"),
        (np.zeros(5, np.int64), -1, "since is -1"),
    ],
)
def test_what_does_not_fit_is_refused(groups: np.ndarray, since: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        find_earlier(draw(5, 2), groups, since=since)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("since", [0, 500])
def test_all_clusters_together_are_exact(precision: str, since: int) -> None:
    rows = torch.cat([draw(400, 33), draw(300, 33)])  # the second part repeats the first
    groups = np.arange(700) % 2
    everywhere = Clustering(clusters=6, probes=6, steps=5)
    found = find_earlier(rows, groups, since=since, precision=precision, limit=1, clustering=everywhere)
    check(found, rows, groups, since)
    assert found.recalls == {0: 1.0, 1: 1.0}


def test_clusters_are_used_beyond_the_limit_only_and_said_so() -> None:
    rows, groups = draw(300, 8), np.repeat([3, 9], [100, 200])
    found = find_earlier(rows, groups, limit=150, clustering=Clustering(clusters=10, probes=1))
    assert list(found.recalls) == [9]
    exact = find_earlier(rows, groups)
    np.testing.assert_array_equal(found.indices[:100], exact.indices[:100])
    assert exact.recalls == {}
    # A few rows after many are few pairs: exact.
    assert find_earlier(rows, groups, limit=150, since=290).recalls == {}


def test_planted_copies_are_found_whatever_the_clusters() -> None:
    rows = draw(600, 12)
    rows[500:] = rows[:100]
    found = find_earlier(rows, np.zeros(600, np.int64), limit=1, clustering=Clustering(clusters=40, probes=1))
    assert (found.distances[500:] == 0).all()
    np.testing.assert_array_equal(found.indices[500:], np.arange(100))


def test_the_recall_is_that_against_the_exact_search_and_the_seed_decides_all() -> None:
    rows, groups = draw(800, 6), np.zeros(800, np.int64)
    exact = find_earlier(rows, groups)
    some = Clustering(clusters=20, probes=2, sample=800, seed=1)
    found = find_earlier(rows, groups, limit=1, clustering=some)
    assert found.recalls == {0: pytest.approx((found.distances == exact.distances).mean())}
    assert 0.5 < found.recalls[0] < 1
    assert (found.distances >= exact.distances).all()
    again = find_earlier(rows, groups, limit=1, clustering=some)
    np.testing.assert_array_equal(again.indices, found.indices)
    more = find_earlier(rows, groups, limit=1, clustering=Clustering(clusters=20, probes=8, sample=800, seed=1))
    assert more.recalls[0] > found.recalls[0]


def test_centres_go_to_separate_heaps() -> None:
    heaps = 10 * draw(4, 5)
    rows = heaps[torch.arange(400) % 4] + 0.1 * draw(400, 5, 1)
    centres = fit_centres(Rows(rows), Clustering(clusters=30, steps=30), precision="fp32")
    assert torch.cdist(centres, heaps).min(dim=1).values.max() < 0.5
    assert torch.cdist(heaps, centres).min(dim=1).values.max() < 0.2


def test_clusters_take_the_number_with_the_fewest_distances_and_no_more_than_rows() -> None:
    assert Clustering(probes=2).count(10_000) == 100
    assert Clustering().count(1) == 1
    assert Clustering(clusters=50).count(10) == 10
    assert clusters.PART >= 1
    with pytest.raises(ValueError, match="probes is 0"):
        Clustering(probes=0)
