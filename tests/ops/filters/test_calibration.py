"""Thresholds: the conformal guarantee by simulation, the quantile by counting, and sets that are too small."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops.filters.calibration import Side, calibrate, fix


def test_the_threshold_is_the_score_of_the_counted_rank() -> None:
    scores, labels = np.arange(1.0, 200.0), np.zeros(199, int)
    found = calibrate(scores, labels, 1, 0.05, "below")
    assert found.values.tolist() == [10.0]  # k = floor(0.05 * 200)
    assert found.real_rejected.tolist() == [9 / 199]
    assert calibrate(scores, labels, 1, 0.05, "above").values.tolist() == [190.0]
    assert (found.counts.tolist(), found.pooled.tolist()) == ([199], [False])


@pytest.mark.parametrize("side", ["below", "above"])
def test_a_further_real_image_is_rejected_with_the_promised_probability(side: Side) -> None:
    rng = np.random.default_rng(0)
    rejected = []
    for _ in range(2_000):
        scores = rng.standard_cauchy((2, 60)) + np.array([[0.0], [50.0]])
        labels = np.repeat([0, 1], 60)
        found = calibrate(scores.ravel(), labels, 2, 0.1, side)
        fresh = rng.standard_cauchy(2) + np.array([0.0, 50.0])
        rejected.append(found.find_beyond(fresh, np.array([0, 1])))
    shares = np.mean(rejected, axis=0)
    assert shares == pytest.approx([6 / 61, 6 / 61], abs=0.025)  # k / (n + 1) with k = 6; four standard errors


def test_small_classes_take_the_threshold_of_all_classes_and_tiny_sets_the_most_suspicious_image() -> None:
    scores = np.concatenate([np.arange(100.0), [-5.0, 500.0]])
    labels = np.array([0] * 100 + [1, 1])
    found = calibrate(scores, labels, 3, 0.05, "below")
    assert found.pooled.tolist() == [False, True, True]
    assert found.values.tolist() == [4.0, 3.0, 3.0]  # own k = 5; of all 102, k = floor(5.15) = 5 with -5 first
    assert found.counts.tolist() == [100, 2, 0]
    np.testing.assert_array_equal(found.real_rejected, [0.04, 0.5, np.nan])
    assert calibrate(np.array([3.0, 7.0]), np.array([0, 1]), 2, 0.01, "below").values.tolist() == [3.0, 3.0]


def test_without_scores_or_with_share_0_nothing_is_rejected() -> None:
    for found in (
        calibrate(np.empty(0), np.empty(0, int), 2, 0.1, "below"),
        calibrate(np.full(5, np.nan), np.zeros(5, int), 2, 0.1, "below"),
        calibrate(np.arange(5.0), np.zeros(5, int), 2, 0.0, "below"),
    ):
        assert np.isnan(found.values).all()
        assert not found.find_beyond(np.array([-1e9, 1e9, np.nan]), np.array([0, 1, 0])).any()


def test_with_an_extreme_value_the_threshold_lies_half_way_to_it() -> None:
    scores, labels = np.arange(1.0, 200.0), np.zeros(199, int)
    assert calibrate(scores, labels, 1, 0.05, "below", extreme=0.0).values.tolist() == [5.0]
    assert calibrate(scores, labels, 1, 0.05, "above", extreme=200.0).values.tolist() == [195.0]
    assert calibrate(scores, labels, 1, 0.05, "below", extreme=0.0).real_rejected.tolist() == [4 / 199]


def test_unknown_scores_are_neither_counted_nor_rejected() -> None:
    scores, labels = np.array([np.nan, 1.0, 2.0, np.nan]), np.array([0, 0, 0, 1])
    found = calibrate(scores, labels, 2, 0.5, "below")
    assert found.counts.tolist() == [2, 0]
    assert found.find_beyond(np.array([np.nan, 0.5]), np.array([0, 0])).tolist() == [False, True]


def test_a_fixed_threshold_holds_for_every_class_and_reports_rejected_real_images() -> None:
    found = fix(np.array([0.1, 0.4, 0.9, np.nan]), np.array([0, 0, 1, 1]), 2, 0.3, "below")
    assert found.values.tolist() == [0.3, 0.3]
    assert found.real_rejected.tolist() == [0.5, 0.0]


@given(
    scores=st.lists(st.floats(-100, 100), min_size=1, max_size=60),
    share=st.floats(0, 1),
    seed=st.integers(0, 99),
)
@settings(max_examples=40, deadline=None)
def test_sides_mirror_each_other_and_no_class_loses_more_than_its_share(
    scores: list[float], share: float, seed: int
) -> None:
    values, labels = np.array(scores), np.random.default_rng(seed).integers(0, 3, len(scores))
    low, high = calibrate(values, labels, 3, share, "below"), calibrate(-values, labels, 3, share, "above")
    np.testing.assert_array_equal(low.values, -high.values)
    own = ~low.pooled
    assert (low.real_rejected[own] * low.counts[own] <= share * (low.counts[own] + 1)).all()
