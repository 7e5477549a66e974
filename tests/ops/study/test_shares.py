"""Shares of a ceiling's gain and their intervals, against closed forms and the t-test that defines them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy.stats import t, ttest_1samp

from ops.study.sections import Way
from ops.study.shares import Share, find_share, find_shares, format_share

WAY = Way(over="plain", ceiling="oracle")


def values(scores: dict[str, list[float | None]]) -> pl.DataFrame:
    """As `average_networks` gives them, of one setting; by arm and seed."""
    rows: list[dict[str, Any]] = [
        {"setting": "a", "steps": 8, "seed": seed, "arm": arm, "value": value}
        for arm, each in scores.items()
        for seed, value in enumerate(each)
    ]
    schema = {"setting": pl.String, "steps": pl.Int64, "seed": pl.Int64, "arm": pl.String, "value": pl.Float64}
    return pl.DataFrame(rows, schema=schema)


def test_where_all_seeds_have_the_same_ceiling_the_interval_is_that_of_the_gain_over_it() -> None:
    gains, most = np.array([0.02, 0.05, 0.03, 0.06]), np.full(4, 0.08)
    found = find_share(gains, most, 0.95)
    half = t.ppf(0.975, 3) * gains.std(ddof=1) / math.sqrt(4)
    assert found.value == pytest.approx(0.5)
    assert found.interval == pytest.approx(((gains.mean() - half) / 0.08, (gains.mean() + half) / 0.08))


def test_a_gain_that_is_always_the_same_share_is_known_exactly() -> None:
    most = np.array([0.05, 0.07, 0.06])
    found = find_share(0.6 * most, most, 0.95)
    assert (found.value, found.seeds) == (pytest.approx(0.6), 3)
    assert found.interval == pytest.approx((0.6, 0.6), abs=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_the_ends_are_the_shares_that_a_t_test_just_refuses(seed: int) -> None:
    rng = np.random.default_rng(seed)
    most = rng.normal(0.1, 0.01, 5)
    gains = 0.5 * most + rng.normal(0, 0.02, 5)
    found = find_share(gains, most, 0.95)
    assert found.interval is not None
    low, high = found.interval
    assert low < found.value < high
    for end in (low, high):
        assert ttest_1samp(gains - end * most, 0.0).pvalue == pytest.approx(0.05, abs=1e-9)


def test_no_interval_is_bounded_where_the_ceilings_own_gain_may_be_0() -> None:
    most = np.array([0.06, -0.02, 0.02])
    assert ttest_1samp(most, 0.0).pvalue > 0.05
    found = find_share(np.array([0.01, 0.02, 0.03]), most, 0.95)
    assert found == Share(pytest.approx(1.0), None, 3)
    assert format_share(found) == "100 (unbounded)"


def test_a_single_seed_has_a_share_and_no_interval() -> None:
    assert format_share(find_share(np.array([0.03]), np.array([0.04]), 0.95)) == "75"
    assert format_share(Share(0.724, (0.405, 1.031), 3)) == "72 (40 to 103)"
    assert format_share(None) == "–"


def test_gains_are_paired_by_seed_and_a_seed_that_lacks_an_arm_is_left_out() -> None:
    scores: dict[str, list[float | None]] = {"plain": [0.5, 0.6, 0.7, 0.1], "oracle": [0.7, 0.8, 0.9, 0.9]}
    scores["grown"] = [0.55, 0.75, 0.8, None]
    (found,) = find_shares(values(scores), "grown", WAY).values()
    wanted = find_share(np.array([0.05, 0.15, 0.1]), np.array([0.2, 0.2, 0.2]), 0.95)
    assert (found.value, found.seeds) == (pytest.approx(0.5), 3)
    assert found.interval == pytest.approx(wanted.interval)
    assert find_shares(values({"plain": [0.5], "grown": [0.6]}), "grown", WAY) == {}


def test_of_a_measure_whose_lower_values_are_better_a_fall_is_a_gain() -> None:
    scores: dict[str, list[float | None]] = {"plain": [0.9, 0.8], "grown": [0.8, 0.7], "oracle": [0.5, 0.4]}
    (found,) = find_shares(values(scores), "grown", WAY, lower_is_better=True).values()
    assert found.value == pytest.approx(0.25)
    assert find_shares(values(scores), "grown", WAY) == {}, "a ceiling that gains nothing is none"
