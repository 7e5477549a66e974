"""Label noise: the rate, the other classes, and draws that depend on the image's key only."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.datasets import load_digits

from ops.datasets.identity import content_ids
from ops.datasets.label_noise import flip_labels
from ops.errors import UserError

DIGITS = load_digits()
LABELS = DIGITS.target.astype(np.int64)
KEYS = content_ids(DIGITS.images.astype(np.uint8)[..., None])


def test_rate_zero_changes_nothing_and_rate_one_everything() -> None:
    labels, mask = flip_labels(LABELS, KEYS, rate=0, classes=10, seed=0)
    np.testing.assert_array_equal(labels, LABELS)
    assert not mask.any()
    labels, mask = flip_labels(LABELS, KEYS, rate=1, classes=10, seed=0)
    assert mask.all()
    assert (labels != LABELS).all()
    assert labels.dtype == np.int64


@given(st.floats(0, 1), st.integers(2, 50), st.integers(0, 2**31 - 1))
def test_flipped_labels_are_other_classes_and_the_rest_is_kept(rate: float, classes: int, seed: int) -> None:
    before = LABELS[:300] % classes
    after, mask = flip_labels(before, KEYS[:300], rate=rate, classes=classes, seed=seed)
    np.testing.assert_array_equal(mask, after != before)
    assert after.min() >= 0 and after.max() < classes


def test_two_classes_swap() -> None:
    before = np.array([0, 1, 0, 1])
    assert flip_labels(before, list("abcd"), rate=1, classes=2, seed=0)[0].tolist() == [1, 0, 1, 0]


@pytest.mark.parametrize("rate", [0.1, 0.4, 0.8])
def test_the_share_is_binomial_and_the_other_classes_are_uniform(rate: float) -> None:
    keys = [str(i) for i in range(100_000)]
    before = np.arange(100_000) % 10
    after, mask = flip_labels(before, keys, rate=rate, classes=10, seed=3)
    assert stats.binomtest(int(mask.sum()), len(keys), rate).pvalue > 1e-4
    steps = np.bincount((after - before)[mask] % 10, minlength=10)
    assert steps[0] == 0
    assert stats.chisquare(steps[1:]).pvalue > 1e-4
    per_class = np.bincount(before[mask], minlength=10)
    assert stats.chisquare(per_class).pvalue > 1e-4


def test_order_and_neighbours_do_not_matter_but_the_seed_does() -> None:
    whole, mask = flip_labels(LABELS, KEYS, rate=0.5, classes=10, seed=0)
    order = np.random.default_rng(0).permutation(len(LABELS))[:500]
    part, part_mask = flip_labels(LABELS[order], [KEYS[i] for i in order], rate=0.5, classes=10, seed=0)
    np.testing.assert_array_equal(part, whole[order])
    np.testing.assert_array_equal(part_mask, mask[order])
    assert (flip_labels(LABELS, KEYS, rate=0.5, classes=10, seed=1)[1] != mask).mean() == pytest.approx(0.5, abs=0.06)


def test_a_higher_rate_keeps_the_flips_of_a_lower_one() -> None:
    low, low_mask = flip_labels(LABELS, KEYS, rate=0.2, classes=10, seed=0)
    high, high_mask = flip_labels(LABELS, KEYS, rate=0.6, classes=10, seed=0)
    assert (high_mask >= low_mask).all()
    np.testing.assert_array_equal(high[low_mask], low[low_mask])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rate": -0.1}, "the rate of label noise is -0.1; allowed: 0 to 1"),
        ({"rate": 1.5}, "the rate of label noise is 1.5; allowed: 0 to 1"),
        ({"rate": float("nan")}, "the rate of label noise is nan; allowed: 0 to 1"),
        ({"classes": 1}, "label noise needs at least 2 classes; there are 1"),
    ],
)
def test_mistakes_of_the_user(options: dict[str, float], message: str) -> None:
    with pytest.raises(UserError, match=message):
        flip_labels(np.zeros(2, np.int64), ["a", "b"], **{"rate": 0.5, "classes": 2, "seed": 0, **options})


def test_mistakes_of_the_caller() -> None:
    with pytest.raises(ValueError, match="2 labels and 1 keys"):
        flip_labels(np.zeros(2, np.int64), ["a"], rate=0.5, classes=2, seed=0)
    with pytest.raises(ValueError, match="labels lie in 0 to 2; allowed: 0 to 1"):
        flip_labels(np.array([0, 2]), ["a", "b"], rate=0.5, classes=2, seed=0)
