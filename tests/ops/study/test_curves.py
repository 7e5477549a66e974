"""Curves over the classes' training images: classes by rank, rows of results, panels."""

from __future__ import annotations

from typing import get_args

import numpy as np
import polars as pl
import pytest

from ops.study.curves import CURVES, find_value, list_curve_panels, list_rows
from ops.study.measure_names import ClassifierCurve
from ops.study.measures import Answers
from ops.study.results import SCHEMA

Values = dict[str, list[float | None]]  # of each rank, the largest class first, by row


def test_every_curve_of_a_design_can_be_found() -> None:
    assert tuple(CURVES) == get_args(ClassifierCurve)


def test_rows_are_named_after_ranks() -> None:
    assert list_rows([], 10) == []
    assert list_rows(["recall"], 2) == ["recall@1", "recall@2", "images@1", "images@2"]
    assert len(list_rows(["recall", "ekld"], 10)) == 30


def test_the_largest_class_has_rank_1_and_equal_ones_keep_their_order() -> None:
    labels = np.repeat([0, 1, 2], [4, 2, 5])
    named = np.array([0, 1, 1, 1, 1, 1, 2, 2, 0, 0, 0])  # right: 1 of 4, 2 of 2, 2 of 5
    answers = Answers(np.eye(3)[named], labels, (5, 5, 60))
    assert [find_value(answers, f"recall@{rank}") for rank in (1, 2, 3)] == [2 / 5, 1 / 4, 1.0]
    assert [find_value(answers, f"images@{rank}") for rank in (1, 2, 3)] == [60, 5, 5]
    assert find_value(answers, "recall@4") is None, "another setting may have more classes"
    assert find_value(answers, "accuracy") == pytest.approx(5 / 11)


def table(*seeds: dict[str, Values], setting: str = "bg") -> pl.DataFrame:
    """Rows of one network for each seed and arm."""
    rows = [
        ("part", setting, 800, seed, arm, 0, f"{name}@{rank}", value, 1.0, f"{seed}{arm}")
        for seed, arms in enumerate(seeds)
        for arm, values in arms.items()
        for name, ranks in values.items()
        for rank, value in enumerate(ranks, start=1)
    ]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


SIZES: list[float | None] = [500, 20, 5, 5]
FIRST: dict[str, Values] = {
    "plain": {"ekld": [0.1, 0.4, 0.8, 1.0], "images": SIZES},
    "grown": {"ekld": [0.1, 0.2, 0.2, 0.4], "images": SIZES},
}
SECOND: dict[str, Values] = {
    "plain": {"ekld": [0.2, 0.4, 1.0, 1.2], "images": SIZES},
    "grown": {"ekld": [None] * 4, "images": [None] * 4},  # the generator was not used
}


def test_a_panel_has_each_size_once_with_an_interval_over_the_seeds() -> None:
    found = table(FIRST, SECOND)
    (panel,) = list_curve_panels("main", "ekld", found, ["plain", "grown"], ["plain"], ["dil", "bg"])
    assert (panel.title, panel.label, panel.scale) == ("main, bg, 800 steps", "eKLD, nats", 1)
    assert list(panel.places) == ["5", "20", "500"]
    line = panel.lines["plain"]
    assert {size: value.mean for size, value in line.items()} == pytest.approx({"5": 1.0, "20": 0.4, "500": 0.15})
    # 0.9 and 1.1: s = 0.1414, t = 12.706 with one degree of freedom.
    assert line["5"].half_width == pytest.approx(12.7062 * 0.1, rel=1e-4)
    grown = panel.lines["grown"]
    assert {size: value.mean for size, value in grown.items()} == pytest.approx({"5": 0.3, "20": 0.2, "500": 0.1})
    assert {value.half_width for value in grown.values()} == {None}
    assert list_curve_panels("main", "recall", found, ["plain"], [], ["bg"]) == []
    assert list_curve_panels("main", "ekld", table({"grown": SECOND["grown"]}), ["grown"], [], ["bg"]) == []


def test_settings_have_a_panel_each_in_the_order_of_the_design() -> None:
    found = pl.concat([table(FIRST, setting="bg"), table(FIRST, setting="dil")])
    panels = list_curve_panels("main", "ekld", found, ["plain"], [], ["dil", "bg"])
    assert [panel.title for panel in panels] == ["main, dil, 800 steps", "main, bg, 800 steps"]
