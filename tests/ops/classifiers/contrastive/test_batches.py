"""Exact counts of real and generated images in every batch, and images shown equally often without a copy."""

from __future__ import annotations

import numpy as np
import pytest

from ops.classifiers.contrastive.batches import count_real, find_share, iterate_exactly
from ops.classifiers.visits import count_visits


def draw(real: int, generated: int, weight: float, batch_size: int, steps: int, seed: int = 0) -> np.ndarray:
    marks = np.arange(real + generated) >= real
    weights = np.where(marks, 1.0, weight)
    return np.array(list(iterate_exactly(weights, marks, batch_size, steps, seed)))


@pytest.mark.parametrize(("share", "batch"), [(1 / 3, 256), (0.0476, 64), (0.5, 7), (1.0, 5), (0.999, 10)])
def test_counts_add_up_to_the_share_at_every_step(share: float, batch: int) -> None:
    counts = [count_real(share, batch, step) for step in range(500)]
    total = np.cumsum(counts)
    assert np.abs(total - share * batch * np.arange(1, 501)).max() <= 0.5 + 1e-9
    assert set(counts) <= {int(share * batch), int(share * batch) + 1}


def test_every_batch_has_the_exact_counts_and_visits_are_those_that_are_reported() -> None:
    real, generated, weight, batch, steps = 30, 200, 4.0, 32, 400
    rows = draw(real, generated, weight, batch, steps)
    share = find_share(np.repeat([weight, 1.0], [real, generated]), np.arange(230) >= real)
    counts = (rows < real).sum(axis=1)
    assert counts.tolist() == [count_real(share, batch, step) for step in range(steps)]
    seen = np.bincount(rows.ravel(), minlength=real + generated)
    expected = count_visits(real, generated, share, steps=steps, batch_size=batch)
    assert np.ptp(seen[:real]) <= 1 and np.ptp(seen[real:]) <= 1
    assert seen[:real].mean() == pytest.approx(expected.per_real, abs=1 / real)
    assert seen[real:].mean() == pytest.approx(expected.per_generated, abs=1 / generated)


def test_an_image_comes_twice_in_a_batch_only_where_passes_meet_or_images_are_few() -> None:
    rows = draw(40, 0, 1.0, 8, 50)
    assert all(len(set(batch)) == 8 for batch in rows.tolist()), "passes of 40 end with a batch"
    few = draw(5, 0, 1.0, 10, 50)
    assert all(np.bincount(batch).tolist() == [2] * 5 for batch in few)


def test_the_seed_decides_the_order_and_real_images_keep_theirs_beside_generated_ones() -> None:
    assert np.array_equal(draw(20, 50, 5.0, 16, 30, seed=3), draw(20, 50, 5.0, 16, 30, seed=3))
    assert not np.array_equal(draw(20, 50, 5.0, 16, 30, seed=3), draw(20, 50, 5.0, 16, 30, seed=4))
    alone, mixed = draw(20, 0, 1.0, 16, 30).ravel(), draw(20, 50, 5.0, 16, 30).ravel()
    real = mixed[mixed < 20]
    assert np.array_equal(real, alone[: len(real)])


def test_images_that_weigh_less_are_shown_less() -> None:
    marks = np.array([False, False, True, True])
    weights = np.array([1.0, 0.25, 1.0, 0.5])
    rows = np.array(list(iterate_exactly(weights, marks, 11, 1_000, 0)))
    seen = np.bincount(rows.ravel(), minlength=4)
    assert seen[1] / seen[0] == pytest.approx(0.25, abs=0.03) and seen[3] / seen[2] == pytest.approx(0.5, abs=0.03)
    assert seen[:2].sum() / seen.sum() == pytest.approx(1.25 / 2.75, abs=1e-3)
