"""Class shares of one set given to another: by leaving rows out, and by weights."""

from __future__ import annotations

import numpy as np
import pytest

from ops.metrics.shares import match_shares, weigh_shares


@pytest.mark.parametrize(
    ("sizes", "like", "count", "kept"),
    [
        ([100, 100], [75, 25], 80, [60, 20]),
        ([100, 5], [50, 50], 40, [20, 5]),  # as many as there are
        ([100, 0], [50, 50], 40, [20, 0]),
        ([30, 30], [100, 100], 40, [30, 30]),  # alike: all
        ([0, 50], [50, 0], 20, [0, 0]),
    ],
)
def test_rows_are_matched_to_the_shares_of_others(
    sizes: list[int], like: list[int], count: int, kept: list[int]
) -> None:
    labels = np.random.default_rng(0).permutation(np.repeat([0, 1], sizes))
    rows = match_shares(labels, np.repeat([0, 1], like), count, seed=4)
    assert len(set(rows.tolist())) == len(rows) and np.all(np.diff(rows) > 0)
    assert np.bincount(labels[rows], minlength=2).tolist() == kept


@pytest.mark.parametrize("count", [49, 50, 140])
def test_many_classes_lose_no_row_to_rounding(count: int) -> None:
    labels = np.repeat(np.arange(100), np.where(np.arange(100) < 10, 40, 3))
    rows = match_shares(labels, np.arange(100), count, seed=0)
    assert len(rows) == count and np.bincount(labels[rows]).max() <= 2


def test_weights_give_the_shares_of_others() -> None:
    labels = np.repeat([0, 1, 3], [60, 30, 10])
    weights = weigh_shares(labels, np.repeat([0, 1, 2], [20, 20, 20]))
    assert weights is not None
    shares = np.bincount(labels, weights=weights, minlength=4)
    assert shares[0] == pytest.approx(shares[1]) and shares[3] == 0
    assert weigh_shares(labels, np.repeat([0, 1, 3], [61, 29, 10])) is not None
    assert weigh_shares(labels, np.repeat([0, 1, 3], [6, 3, 1])) is None, "alike"
    assert weigh_shares(labels, np.array([2, 2])) is None, "no class in common"
