"""The bound: no neighbour lies above the limit, and little else lies below it."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from ops.neighbours import scan
from ops.neighbours.product import (
    NEVER,
    Limits,
    Points,
    Slab,
    allocate_slab,
    fill_slab,
    multiply_in,
    prepare_queries,
)
from ops.neighbours.search import find_nearest

PRECISIONS = ["bf16", "fp32", "fp64"]


def draw(count: int, width: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed))


def prepare(queries: torch.Tensor, references: torch.Tensor, precision: str) -> tuple[Points, Slab, np.ndarray]:
    """The factors, and the products of the references that there are."""
    centre = references.mean(dim=0)
    factors = allocate_slab(len(references), references.shape[1], precision)
    radius, moved = fill_slab(factors[: len(references)], references, centre, precision)
    points, slab = (
        prepare_queries(queries, centre, precision),
        Slab(0, len(references), factors, radius, moved, precision),
    )
    with multiply_in(precision):
        products = torch.mm(points.factors, factors.T)
    assert (products[:, len(references) :] == NEVER).all()
    return points, slab, products[:, : len(references)].double().numpy()


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(("offset", "spread", "width"), [(0, 1, 64), (100, 1, 200), (1e4, 1e-2, 33), (0, 1e-17, 40)])
def test_no_pair_within_a_distance_has_a_product_above_its_limit(
    precision: str, offset: float, spread: float, width: int
) -> None:
    queries, references = offset + spread * draw(60, width, 1), offset + spread * draw(70, width, 2)
    queries[::3] = references[:20] + 0.01 * spread * draw(20, width, 3)
    points, slab, products = prepare(queries, references, precision)
    limits = Limits(points, slab)
    exact = torch.cdist(queries.double(), references.double(), compute_mode="donot_use_mm_for_euclid_dist").numpy()
    for column, distances in enumerate(exact.T):
        limit = limits.of_distances(distances.astype(np.float32))
        assert (products[:, column] <= limit).all()
        # A limit from a product is one for the distance of that pair too.
        assert (limits.of_products(products[:, column]) >= limits.of_distances(distances)).all()


@pytest.mark.parametrize(("precision", "most"), [("fp32", 6.0), ("bf16", 8.0)])
def test_few_pairs_are_measured_again(precision: str, most: float, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = 0
    measure = scan.measure_pairs

    def count(*arguments: object) -> np.ndarray:
        nonlocal measured
        measured += len(arguments[2])  # type: ignore[arg-type]
        return measure(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(scan, "measure_pairs", count)
    find_nearest(draw(200, 128, 1), draw(2000, 128, 2), 5, precision=precision)
    assert 5 * 200 <= measured < most * 200


def test_finer_products_follow_where_coarser_ones_cannot_tell_rows_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[tuple[str, int]] = []
    run = scan.scan

    def watch(block: scan.Block, slab: Slab, *rest: object, give_up: bool) -> np.ndarray:
        used.append((slab.precision, len(block.numbers)))
        return run(block, slab, *rest, give_up=give_up)  # type: ignore[arg-type]

    monkeypatch.setattr("ops.neighbours.search.scan", watch)
    monkeypatch.setattr("ops.neighbours.search.QUERIES", 200)
    rows = torch.cat([5 * draw(1, 64) + 1e-3 * draw(800, 64, 1), 5 * draw(1, 64, 2) + draw(400, 64, 3)])
    distances, indices = find_nearest(rows, rows, exclude_self=True, precision="bf16")
    expected = torch.cdist(rows.double(), rows.double(), compute_mode="donot_use_mm_for_euclid_dist").float()
    expected.fill_diagonal_(torch.inf)
    np.testing.assert_array_equal(distances[:, 0], expected.amin(dim=1))
    np.testing.assert_array_equal(indices[:, 0], expected.argmin(dim=1))
    asked = {precision: sum(count for name, count in used if name == precision) for precision, _ in used}
    assert asked["bf16"] == 200
    assert 1000 < asked["fp32"] <= 1200  # the sample showed that bf16 is of no use
    assert 600 < asked["fp64"] <= 800  # the heap, less what was measured
