"""Losses of two views: each equals a plain loop over a batch of eight, and copies of an image are no negatives."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from ops.training.contrast import find_info_nce, find_nt_xent, find_redundancy, find_regression

COUNT, SIZE = 8, 5
IDS = torch.tensor([3, 1, 4, 1, 5, 9, 2, 1])  # rows 1, 3 and 7 show one image


def draw(count: int, seed: int = 0) -> Tensor:
    return torch.randn(count, SIZE, generator=torch.Generator().manual_seed(seed))


def normalised(rows: Tensor) -> np.ndarray:
    found = rows.double().numpy()
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True))


def loop_nt_xent(z: np.ndarray, ids: list[int], temperature: float) -> float:
    count, total = len(z), 0.0
    for i in range(count):
        partner, others = (i + count // 2) % count, 0.0
        for j in range(count):
            if j == i or (j != partner and ids[i % len(ids)] == ids[j % len(ids)]):
                continue
            others += math.exp(z[i] @ z[j] / temperature)
        total -= math.log(math.exp(z[i] @ z[partner] / temperature) / others)
    return total / count


@pytest.mark.parametrize("ids", [list(range(COUNT)), IDS.tolist()])
def test_nt_xent_is_the_mean_over_views_and_leaves_copies_out(ids: list[int]) -> None:
    compared = draw(2 * COUNT)
    found = float(find_nt_xent(compared, 0.2, torch.tensor(ids)))
    assert found == pytest.approx(loop_nt_xent(normalised(compared), ids, 0.2), rel=1e-5)


def test_without_ids_all_images_differ() -> None:
    compared = draw(2 * COUNT)
    assert torch.equal(find_nt_xent(compared, 0.5), find_nt_xent(compared, 0.5, torch.arange(COUNT)))


def test_views_alike_cost_less_than_views_mixed_up() -> None:
    apart = torch.eye(6).repeat(2, 1)
    assert find_nt_xent(apart, 0.5) < find_nt_xent(torch.cat([apart[:6], apart[:6].roll(1, 0)]), 0.5) - 1


def test_a_batch_of_copies_of_one_image_has_nothing_to_be_told_from() -> None:
    compared = draw(2 * COUNT).requires_grad_()
    loss = find_nt_xent(compared, 0.2, torch.zeros(COUNT, dtype=torch.int64))
    loss.backward()
    assert loss.item() == 0 and compared.grad is not None and not compared.grad.abs().max() > 1e-6


def test_a_copy_does_not_push_its_own_image_away() -> None:
    """Row 1 of both views is a copy of row 0; the published code makes them negatives of each other."""
    compared = draw(2 * COUNT)
    compared[1], compared[COUNT + 1] = compared[0], compared[COUNT]
    ids = torch.arange(COUNT)
    ids[1] = 0
    assert find_nt_xent(compared, 0.2, ids) < find_nt_xent(compared, 0.2)


def test_info_nce_compares_with_the_key_and_the_queue_but_for_copies() -> None:
    queries, keys, queue = draw(COUNT), draw(COUNT, 1), draw(11, 2)
    queue_ids = torch.tensor([1, 1, 20, 21, 3, 22, 23, 24, 9, 25, 2])
    q, k, old = (normalised(rows) for rows in (queries, keys, queue))
    total = 0.0
    for i in range(COUNT):
        own = math.exp(q[i] @ k[i] / 0.2)
        others = sum(math.exp(q[i] @ old[j] / 0.2) for j in range(11) if int(queue_ids[j]) != int(IDS[i]))
        total -= math.log(own / (own + others))
    found = float(find_info_nce(queries, keys, queue, 0.2, IDS, queue_ids))
    assert found == pytest.approx(total / COUNT, rel=1e-5)


def test_info_nce_with_an_empty_queue_is_nothing() -> None:
    empty = find_info_nce(draw(COUNT), draw(COUNT, 1), draw(0), 0.2, IDS, IDS[:0])
    assert float(empty) == 0


def test_regression_is_the_squared_distance_of_directions() -> None:
    predicted, wanted = draw(COUNT), draw(COUNT, 1)
    p, w = normalised(predicted), normalised(wanted)
    expected = sum(sum((p[i][j] - w[i][j]) ** 2 for j in range(SIZE)) for i in range(COUNT)) / COUNT
    assert float(find_regression(predicted, wanted)) == pytest.approx(expected, rel=1e-5)


def test_redundancy_is_the_distance_of_the_correlations_from_the_identity() -> None:
    one, other = draw(COUNT).double(), draw(COUNT, 1).double()
    total = 0.0
    for i in range(SIZE):
        for j in range(SIZE):
            a, b = one[:, i].tolist(), other[:, j].tolist()
            mean_a, mean_b = sum(a) / COUNT, sum(b) / COUNT
            spread_a = math.sqrt(sum((x - mean_a) ** 2 for x in a) / COUNT + 1e-5)
            spread_b = math.sqrt(sum((x - mean_b) ** 2 for x in b) / COUNT + 1e-5)
            c = sum((x - mean_a) * (y - mean_b) for x, y in zip(a, b, strict=True)) / COUNT / spread_a / spread_b
            total += (1 - c) ** 2 if i == j else 0.0051 * c**2
    assert float(find_redundancy(one, other)) == pytest.approx(0.1 * total, rel=1e-9)


def test_redundancy_is_least_for_equal_views_of_independent_numbers() -> None:
    signs = torch.tensor([[a, b] for a in (-1.0, 1.0) for b in (-1.0, 1.0)])
    assert float(find_redundancy(signs, signs)) == pytest.approx(0, abs=1e-9)
    assert float(find_redundancy(signs, signs.flip(1))) > 0.1
