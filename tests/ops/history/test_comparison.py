"""Differences between two tables of rows, against counts by hand and identities of counts."""

from __future__ import annotations

from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from ops.history.comparison import compare, compare_rows, format_value
from ops.history.versions import Contents, Version
from ops.report.page import render_page
from tests.reports import make_facts, make_verdict

SCHEMA = {
    "image_id": pl.String,
    "split": pl.String,
    "is_generated": pl.Boolean,
    "weight": pl.Float64,
    "class": pl.String,
}


def frame(*rows: tuple[str, str, bool, float | None, str]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=SCHEMA, orient="row")


BEFORE = frame(
    ("a", "train", False, 10.0, "ant"), ("b", "train", False, 10.0, "ant"), ("c", "test", False, None, "ant"),
    ("g1", "train", True, 1.0, "bee"), ("g2", "train", True, 1.0, "bee"),
)  # fmt: skip
AFTER = frame(
    ("a", "train", False, 10.0, "ant"), ("b", "train", False, 10.0, "bee"), ("c", "test", False, None, "ant"),
    ("g2", "train", True, 2.0, "bee"), ("g3", "train", True, 1.0, "bee"), ("g4", "train", True, 1.0, "ant"),
)  # fmt: skip


def test_every_kind_of_change_is_counted_in_its_new_class_and_split() -> None:
    rows = {row[:3]: row[3:] for row in compare_rows(BEFORE, AFTER).iter_rows()}
    assert rows == {
        ("ant", "train", "real"): (1, 1, 0, 0, 0),
        ("ant", "train", "generated"): (0, 1, 1, 0, 0),
        ("ant", "test", "real"): (1, 1, 0, 0, 0),
        ("bee", "train", "real"): (1, 1, 0, 0, 1),  # b, which was an ant
        ("bee", "train", "generated"): (2, 2, 1, 1, 1),  # g1 is gone, g2 weighs more, g3 is new
    }


IDS = st.lists(st.integers(0, 30), unique=True, max_size=20)


@settings(max_examples=50, deadline=None)
@given(IDS, IDS)
def test_counts_obey_their_identities(before: list[int], after: list[int]) -> None:
    def build(ids: list[int], weight: float) -> pl.DataFrame:
        return frame(*((str(i), "train", i % 2 == 0, weight, f"c{i % 3}") for i in ids))

    table = compare_rows(build(before, 1.0), build(after, 1.0))
    totals = {name: int(table[name].sum()) for name in ("before", "after", "added", "removed", "changed")}
    assert (totals["before"], totals["after"], totals["changed"]) == (len(before), len(after), 0)
    assert totals["added"] == len(set(after) - set(before)) and totals["removed"] == len(set(before) - set(after))
    back = compare_rows(build(after, 1.0), build(before, 1.0))
    assert back["added"].to_list() == table["removed"].to_list()
    heavier = compare_rows(build(before, 1.0), build(before, 2.0))
    assert heavier["changed"].sum() == len(before) and heavier["added"].sum() == 0


def make_contents(name: str, rows: pl.DataFrame, **metrics: Any) -> Contents:
    return Contents(Version(name, "tiny", None, "2026-01-01"), metrics, make_verdict(), rows)


def test_a_comparison_holds_counts_quality_and_verdict() -> None:
    before = make_contents("tiny/v1", BEFORE, train=4, generated=2, quality={"accept_rate": 0.5})
    found = compare(before, make_contents("tiny", AFTER, train=5, generated=3))
    assert found.totals == {"before": 5, "after": 6, "added": 2, "removed": 1, "changed": 2}
    assert ("generated", 2, 3) in found.summary and ("accept_rate", 0.5, None) in found.summary
    assert ("verdict", "helps", "helps") in found.summary and (
        "accuracy of the challenger",
        0.84,
        0.84,
    ) in found.summary
    assert not found.is_empty and compare(before, before).is_empty
    assert [format_value(*cell) for cell in (("accept_rate", 0.5), ("train", 1234), ("x", None))] == [
        "50.0 %",
        "1,234",
        "–",
    ]


def test_the_report_shows_the_changes() -> None:
    before = make_contents("tiny/v1", BEFORE, train=4, generated=2)
    page = render_page(make_facts(), compare(before, make_contents("tiny", AFTER, train=5, generated=3)))
    assert "What changed since tiny/v1" in page and "2 images were added, 1 removed" in page
    assert '<th scope="row">bee</th><td class="text">train</td><td class="text">generated</td>' in page
    assert "What changed since" not in render_page(make_facts())
