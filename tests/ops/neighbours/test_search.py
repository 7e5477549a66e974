"""The search against all distances, written down in float64 and rounded; nothing may depend on blocks or precision."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.neighbors import NearestNeighbors

from ops.neighbours import scan, search
from ops.neighbours.search import find_nearest

PRECISIONS = ["fp32", "bf16"]


def draw(count: int, width: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed))


def find_slowly(
    queries: np.ndarray, references: np.ndarray, k: int, *, exclude_self: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """By the definition: differences in float64, rounded to float32, ties to the lower index."""
    differences = queries.astype(np.float64)[:, None] - references.astype(np.float64)[None]
    distances = np.sqrt(np.square(differences).sum(axis=2)).astype(np.float32)
    if exclude_self:
        np.fill_diagonal(distances, np.inf)
    order = np.argsort(distances, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(distances, order, axis=1), order


def check(queries: torch.Tensor, references: torch.Tensor, k: int, **options: object) -> None:
    distances, indices = find_nearest(queries, references, k, **options)  # type: ignore[arg-type]
    exclude_self = bool(options.get("exclude_self"))
    expected, order = find_slowly(queries.numpy(), references.numpy(), k, exclude_self=exclude_self)
    np.testing.assert_array_equal(distances, expected)
    np.testing.assert_array_equal(indices, order)
    assert distances.dtype == np.float32
    assert indices.dtype == np.int64


@pytest.mark.parametrize("precision", [*PRECISIONS, "auto"])
@pytest.mark.parametrize(
    ("queries", "references", "width", "k"),
    [(40, 2100, 40, 1), (40, 1500, 7, 3), (7, 70, 300, 5), (1, 1, 4, 1), (20, 33, 1, 33), (3, 1100, 2, 700)],
)
def test_equals_all_distances(precision: str, queries: int, references: int, width: int, k: int) -> None:
    check(draw(queries, width, 1), draw(references, width, 2), k, precision=precision)


def test_equals_scikit_learn() -> None:
    queries, references = draw(200, 24, 1), draw(900, 24, 2)
    distances, indices = find_nearest(queries, references, 4)
    expected, where = NearestNeighbors(n_neighbors=4, algorithm="brute").fit(references.double()).kneighbors(queries)
    np.testing.assert_allclose(distances, expected, rtol=1e-6)
    np.testing.assert_array_equal(indices, where)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("k", [1, 4])
def test_a_row_is_not_its_own_neighbour_when_told_so(precision: str, k: int) -> None:
    rows = draw(300, 33)
    rows[100:150] = rows[:50]  # a copy is a neighbour all the same
    check(rows, rows, k, exclude_self=True, precision=precision)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_copies_far_from_the_origin_are_at_distance_zero(precision: str) -> None:
    references = draw(1200, 48) + 1e4
    queries = references[torch.arange(0, 1200, 40)].clone()
    queries[::2] += 0.01
    check(queries, references, 2, precision=precision)
    distances, _ = find_nearest(queries, references, precision=precision)
    assert (distances[1::2] == 0).all()
    assert (distances[::2] > 0).all()


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("spread", [0.0, 1e-7, 1e-3])
def test_clusters_tighter_than_the_products_digits_are_told_apart(precision: str, spread: float) -> None:
    centres = 3 * draw(3, 40, 1)
    references = centres[torch.arange(1500) % 3] + spread * draw(1500, 40, 2)
    queries = centres[torch.arange(12) % 3] + spread * draw(12, 40, 3)
    check(queries, references, 3, precision=precision)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_ties_go_to_the_lower_index(precision: str) -> None:
    corners = torch.eye(36).repeat(40, 1)  # every distance is 0 or the root of 2
    check(corners[:20], corners, 50, precision=precision)


@pytest.mark.parametrize("scale", [1e-30, 1e-12, 1e11])
def test_small_and_large_numbers(scale: float) -> None:
    check(scale * draw(20, 33, 1), scale * draw(200, 33, 2), 2, precision="bf16")


@settings(max_examples=25, deadline=None)
@given(
    data=st.data(),
    width=st.integers(1, 5),
    counts=st.tuples(st.integers(1, 12), st.integers(1, 40)),
    precision=st.sampled_from(PRECISIONS),
)
def test_any_numbers(data: st.DataObject, width: int, counts: tuple[int, int], precision: str) -> None:
    numbers = st.floats(-(2.0**39), 2.0**39, width=32) | st.integers(-2, 2).map(float)
    queries, references = (
        torch.from_numpy(data.draw(arrays.arrays(np.float32, (count, width), elements=numbers))) for count in counts
    )
    check(queries, references, data.draw(st.integers(1, counts[1])), precision=precision)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(("block", "tile", "slab"), [(16, 32, 4000), (23, 96, 1), (1000, 64, 1 << 20)])
def test_block_sizes_change_nothing(
    precision: str, block: int, tile: int, slab: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    queries, references = draw(90, 33, 1), torch.cat([draw(150, 33, 2), draw(150, 33, 2)])
    expected = find_nearest(queries, references, 3)
    monkeypatch.setattr(search, "QUERIES", block)
    monkeypatch.setattr(scan, "TILE", tile)
    monkeypatch.setattr(search, "SLAB", slab if slab > 1 else 33 * 50)
    for found, wanted in zip(find_nearest(queries, references, 3, precision=precision), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)


def test_threads_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "QUERIES", 16)
    queries, references = draw(100, 40, 1), draw(400, 40, 2)
    expected = find_nearest(queries, references, 2)
    threads = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        found = find_nearest(queries, references, 2)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(threads)
    for ours, wanted in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, wanted)


def test_no_block_of_products_or_references_grows_with_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    # Both sides and the neighbours are many; what is allocated at a time is what the constants say.
    monkeypatch.setattr(search, "SLAB", 33 * 500)
    shapes: list[torch.Size] = []
    multiply = torch.mm

    def watch(a: torch.Tensor, b: torch.Tensor, *, out: torch.Tensor) -> torch.Tensor:
        shapes.append(out.shape)
        assert b._base is not None
        assert b._base.numel() <= 512 * 64
        return multiply(a, b, out=out)

    monkeypatch.setattr(torch, "mm", watch)
    find_nearest(draw(3000, 33, 1), draw(2600, 33, 2), 2)
    assert max(rows for rows, _ in shapes) <= search.QUERIES
    assert max(columns for _, columns in shapes) <= scan.TILE
    assert sum(rows * columns for rows, columns in shapes) < 1.2 * 3000 * 2600


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_settings_of_torch_come_back_and_do_not_reach_in(precision: str) -> None:
    queries, references = draw(50, 64, 1), draw(800, 64, 2)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")  # which would make float32 products in bf16
    try:
        check(queries, references, 1, precision=precision)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)


def test_searches_at_the_same_time_do_not_disturb_each_other() -> None:
    queries, references = draw(60, 64, 1), draw(800, 64, 2)
    failures: list[BaseException] = []

    def work(precision: str) -> None:
        try:
            for _ in range(3):
                check(queries, references, 1, precision=precision)
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=work, args=[precision]) for precision in PRECISIONS]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert torch.backends.mkldnn.matmul.fp32_precision in ("none", "ieee")  # type: ignore[attr-defined]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_other_float_types_and_arrays_are_taken_as_float32(dtype: torch.dtype) -> None:
    queries, references = draw(9, 6, 1).to(dtype), draw(50, 6, 2).to(dtype)
    expected = find_slowly(queries.float().numpy(), references.float().numpy(), 2)
    for found, wanted in zip(find_nearest(queries, references, 2), expected, strict=True):
        np.testing.assert_array_equal(found, wanted)
    found = find_nearest(queries.float().numpy(), references.float().numpy()[::-1], 2)
    np.testing.assert_array_equal(found[0], expected[0])


def test_no_query_has_no_neighbour() -> None:
    distances, indices = find_nearest(draw(0, 3), draw(5, 3), 2)
    assert distances.shape == indices.shape == (0, 2)


@pytest.mark.parametrize(
    ("queries", "references", "options", "message"),
    [
        (draw(2, 3), draw(4, 3), {"k": 5}, "k is 5; 4 references allow"),
        (draw(2, 3), draw(4, 3), {"k": 0}, "k is 0"),
        (draw(2, 3), draw(0, 3), {}, "k is 1; 0 references"),
        (draw(0, 3), draw(0, 3), {}, "k is 1; 0 references"),
        (draw(1, 3), draw(1, 3), {"exclude_self": True}, "k is 1; 0 references"),
        (draw(2, 3), draw(4, 3), {"exclude_self": True}, "not the same set"),
        (draw(2, 3), draw(4, 2), {}, "queries have 3 columns and references 2"),
        (draw(2, 3)[0], draw(4, 3), {}, "queries are"),
        (draw(2, 3), draw(4, 3).long(), {}, "references are torch.int64"),
        (draw(2, 3), draw(4, 3), {"precision": "int8"}, "precision is 'int8'"),
        (torch.tensor([[0.0, torch.nan]]), draw(4, 2), {}, "queries hold values"),
        (draw(2, 2), torch.tensor([[0.0, torch.inf]]), {}, "references hold values"),
        (draw(2, 2), torch.tensor([[0.0, -2e12]]), {}, "references hold values"),
    ],
)
def test_what_cannot_be_searched_is_refused(
    queries: torch.Tensor, references: torch.Tensor, options: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        find_nearest(queries, references, **options)  # type: ignore[arg-type]
