"""Means, paired differences with their intervals, and worth in labels, against closed forms."""

from __future__ import annotations

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_rel

from ops.study.results import SCHEMA
from ops.study.summary import (
    average_networks,
    average_seeds,
    compare,
    count_labels,
    find_best,
    find_difference,
)

Fact = tuple[str, int, int, str, int, float | None]  # setting, steps, seed, arm, network, value


def table(*facts: Fact, measure: str = "accuracy") -> pl.DataFrame:
    rows = [
        {"part": "p", "setting": s, "steps": n, "seed": seed, "arm": arm, "network": k, "measure": measure, "value": v}
        for s, n, seed, arm, k, v in facts
    ]
    return pl.DataFrame(rows, schema={key: kind for key, kind in SCHEMA.items() if key in rows[0]})


def test_networks_of_an_arm_are_averaged_and_one_without_a_value_makes_it_none() -> None:
    found = average_networks(
        table(("10", 400, 0, "a", 0, 0.5), ("10", 400, 0, "a", 1, 0.7), ("10", 400, 0, "b", 0, None)), "accuracy"
    )
    assert dict(found.select("arm", "value").iter_rows()) == {"a": pytest.approx(0.6), "b": None}
    assert average_networks(table(("10", 400, 0, "a", 0, 0.5), measure="tail"), "accuracy").is_empty()


def test_means_are_over_the_seeds_that_have_a_value() -> None:
    values = average_networks(
        table(("10", 400, 0, "a", 0, 0.5), ("10", 400, 1, "a", 0, 0.7), ("10", 400, 2, "a", 0, None)), "accuracy"
    )
    assert average_seeds(values).select("value", "seeds").row(0) == (pytest.approx(0.6), 2)


def test_the_interval_is_that_of_a_paired_t_test() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.normal(0.6, 0.1, 7), rng.normal(0.5, 0.1, 7)
    facts: list[Fact] = [("10", 400, seed, "one", 0, float(one[seed])) for seed in range(7)]
    facts += [("10", 400, seed, "other", 0, float(other[seed])) for seed in reversed(range(7))]
    found = compare(average_networks(table(*facts), "accuracy"), "one", "other")[("10", 400)]
    interval = ttest_rel(one, other).confidence_interval(0.95)
    assert found.half_width is not None
    assert (found.mean - found.half_width, found.mean + found.half_width) == pytest.approx(tuple(interval))
    assert found.seeds == 7


def test_three_seeds_by_hand() -> None:
    found = find_difference(np.array([0.01, 0.02, 0.03]), 0.95)
    assert found.mean == pytest.approx(0.02)
    assert found.half_width == pytest.approx(4.302653 * 0.01 / math.sqrt(3))
    assert find_difference(np.array([0.01]), 0.95).half_width is None


def test_seeds_are_paired_by_number_and_a_seed_without_a_value_is_left_out() -> None:
    values = average_networks(
        table(
            ("10", 400, 0, "a", 0, 0.9),
            ("10", 400, 1, "a", 0, 0.5),
            ("10", 400, 2, "a", 0, None),
            ("10", 400, 1, "b", 0, 0.4),
            ("10", 400, 0, "b", 0, 0.6),
            ("10", 400, 2, "b", 0, 0.1),
        ),
        "accuracy",
    )
    found = compare(values, "a", "b")[("10", 400)]
    assert (found.mean, found.seeds) == (pytest.approx(0.2), 2)
    assert compare(values, "a", "missing") == {}


def test_the_best_arm_is_found_for_each_setting_and_length() -> None:
    values = average_networks(
        table(
            ("10", 400, 0, "a", 0, 0.5),
            ("10", 400, 0, "b", 0, 0.5),
            ("10", 800, 0, "a", 0, 0.5),
            ("10", 800, 0, "b", 0, 0.6),
            ("10", 800, 0, "c", 0, 0.9),
        ),
        "accuracy",
    )
    assert find_best(average_seeds(values), ["a", "b"]) == {("10", 400): "a", ("10", 800): "b"}
    lowest = find_best(average_seeds(values), ["a", "b", "c"], lower_is_better=True)
    assert lowest == {("10", 400): "a", ("10", 800): "a"}


def test_labels_are_interpolated_over_their_logarithm() -> None:
    assert count_labels([10, 100, 1000], [0.5, 0.7, 0.8], 0.6) == pytest.approx(math.sqrt(10 * 100))
    assert count_labels([10, 100, 1000], [0.5, 0.7, 0.8], 0.7) == pytest.approx(100)
    assert count_labels([10, 100, 1000], [0.5, 0.7, 0.8], 0.81) is None
    assert count_labels([10, 100, 1000], [0.5, 0.7, 0.8], 0.49) is None
    assert count_labels([10, 100, 1000], [0.5, 0.5, 0.8], 0.5) == pytest.approx(100)  # a flat part has no rise
    assert count_labels([10, 100, 1000], [0.6, 0.5, 0.8], 0.6) == pytest.approx(100 * 10 ** (1 / 3))
    assert count_labels([10], [0.5], 0.5) is None


@given(st.floats(-3, 3), st.floats(0.05, 1), st.floats(1.1, 4))
def test_a_curve_that_is_linear_in_the_logarithm_is_read_exactly(offset: float, slope: float, place: float) -> None:
    labels = [10.0, 50.0, 100.0, 10_000.0]
    scores = [offset + slope * math.log10(each) for each in labels]
    assert count_labels(labels, scores, offset + slope * place) == pytest.approx(10**place, rel=1e-6)
