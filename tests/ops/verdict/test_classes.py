"""Differences class by class, groups by size, calibration: closed forms, and false alarms among many equal classes."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest

from ops.verdict.calibration import find_calibration_error
from ops.verdict.classes import compare_classes, divide_by_size, score_groups
from ops.verdict.comparison import Comparison


def test_a_perfectly_calibrated_network_has_no_error_and_a_sure_one_the_share_of_its_mistakes() -> None:
    correct = np.array([[True, True, True, False]])
    assert find_calibration_error(np.full((1, 4), 0.75), correct) == pytest.approx(0)
    assert find_calibration_error(np.ones((1, 4)), correct) == pytest.approx(0.25)


def test_the_calibration_error_equals_a_loop_over_bins_and_networks() -> None:
    rng = np.random.default_rng(0)
    confidence, correct = rng.random((3, 200)).astype(np.float32), rng.random((3, 200)) < 0.5
    each = []
    for sure, right in zip(confidence, correct, strict=True):
        total = 0.0
        for b in range(15):
            chosen = (sure >= b / 15) & ((sure < (b + 1) / 15) | (b == 14))
            if chosen.any():
                total += chosen.mean() * abs(right[chosen].mean() - sure[chosen].astype(float).mean())
        each.append(total)
    assert find_calibration_error(confidence, correct) == pytest.approx(np.mean(each), abs=1e-6)


@pytest.mark.parametrize(
    ("counts", "groups"),
    [
        ([5, 500, 50, 40, 20, 10, 100], {"head": [1, 6], "middle": [2, 3, 4], "tail": [0, 5]}),
        ([500, 10, 100], {"head": [0], "middle": [2], "tail": [1]}),
        ([30, 20, 10], {}),  # three times as many is even enough
        ([500, 5], {}),
        ([], {}),
    ],
)
def test_classes_are_divided_into_thirds_by_size(counts: list[int], groups: dict[str, list[int]]) -> None:
    assert divide_by_size(counts) == groups


def test_groups_are_scored_by_the_mean_over_their_classes() -> None:
    labels = np.repeat([0, 1, 2, 3], [10, 20, 30, 40])
    rates = np.array([1.0, 0.5, 0.2, 0.1])
    correct = np.concatenate([np.arange(n) < round(n * r) for n, r in zip([10, 20, 30, 40], rates, strict=True)])[None]
    head, middle, tail = score_groups(Comparison({"arm": correct}, labels), ["arm"], [900, 300, 30, 9])
    assert (head.name, head.scores) == ("head", {"arm": 1.0})
    assert (middle.classes, middle.least, middle.most) == (2, 30, 300)
    assert middle.scores["arm"] == pytest.approx(0.35) and tail.scores["arm"] == pytest.approx(0.1)


def test_a_class_with_few_images_is_never_clear_and_can_be_written_as_json() -> None:
    labels = np.repeat([0, 1], [9, 40])
    good, bad = np.ones((3, 49), bool), np.arange(3)[:, None] > np.arange(49) % 5
    comparison = Comparison({"good": good, "bad": bad}, labels)
    few, many = compare_classes(comparison, "good", "bad", labels, "ab", tail=0.025)
    assert few.difference is not None and few.difference.df is not None and few.difference.low > 0
    assert (few.clear, many.clear) == (False, True)
    json.dumps([asdict(few), asdict(many)])


def test_equal_classes_are_seldom_called_clear_however_many_there_are() -> None:
    rng, labels, names = np.random.default_rng(1), np.repeat(np.arange(20), 40), [str(c) for c in range(20)]
    single = several = 0
    for _ in range(60):
        arms = {name: rng.random((5, len(labels))) < 0.7 for name in ("new", "old")}
        rows = compare_classes(Comparison(arms, labels), "new", "old", labels, names, tail=0.025)
        gaps = [row.difference for row in rows if row.difference is not None]
        single += any(gap.low > 0 or gap.high < 0 for gap in gaps)
        several += any(row.clear for row in rows)
    assert single > 15 and several <= 8  # 5 % of 60 are 3


def test_a_few_images_that_all_agree_are_not_clear() -> None:
    labels = np.repeat([0, 1], [100, 2])
    new, old = np.ones((5, 102), dtype=bool), np.repeat([True, False], [100, 2])[None].repeat(5, axis=0)
    rows = compare_classes(Comparison({"new": new, "old": old}, labels), "new", "old", labels, ["a", "b"], tail=0.025)
    assert rows[1].difference is not None and rows[1].difference.estimate == 1 and not rows[1].clear


def test_a_class_that_differs_is_clear_and_one_without_images_is_not() -> None:
    labels = np.repeat([0, 2], 200)
    rng = np.random.default_rng(2)
    old = rng.random((5, 400)) < 0.5
    new = old | (labels == 2)
    rows = compare_classes(
        Comparison({"new": new, "old": old}, labels), "new", "old", labels, ["a", "b", "c"], tail=0.025
    )
    assert [row.clear for row in rows] == [False, False, True]
    assert rows[1].difference is None and rows[1].images == 0
