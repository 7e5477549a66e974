"""The report on the filters: steps that add up in facts and page, rules, decisions, shortfall."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from ops.report.filtering import describe_filters
from ops.report.page import render_page
from tests.filtering import make_held_out, make_index, make_results, make_rule
from tests.reports import make_facts, make_filters


def read_rows(page: str, caption: str) -> list[list[str]]:
    """Text of the cells of the table with this caption, head and foot included."""
    (table,) = [found for found in re.findall(r"<table.*?</table>", page, re.DOTALL) if f'id="{caption}"' in found]
    rows = re.findall(r"<tr.*?</tr>", table, re.DOTALL)
    strip = [
        [re.sub(r"<[^>]+>", "", cell) for cell in re.findall(r"<t[hd].*?</t[hd]>", row, re.DOTALL)] for row in rows
    ]
    return [[" ".join(cell.split()) for cell in row] for row in strip]


@pytest.fixture(scope="module")
def page() -> str:
    return render_page(make_facts())


def test_steps_subtract_down_to_the_accepted_images() -> None:
    funnel = make_filters()["funnel"]
    left = funnel["drawn"]
    for step in funnel["steps"]:
        assert (step["before"], step["after"]) == (left, left - step["count"])
        left = step["after"]
    assert left == funnel["accepted"] == 97
    assert [step["title"] for step in funnel["steps"]] == [
        "unsafe", "wrong label", "near copy of train", "repeat", "surplus",
    ]  # fmt: skip


def test_the_table_of_the_page_adds_up(page: str) -> None:
    _, drawn, *steps, accepted = read_rows(page, "funnel-caption")
    assert drawn[:3] == ["drawn", "200", "100.0"] and accepted[:3] == ["= accepted", "97", "48.5"]
    assert sum(int(step[1]) for step in steps) + 97 == 200
    assert ["− repeat", "0", "0.0", "30", ""] in steps, "found in thirty, but each had fallen before"
    assert "58.5&nbsp;%</strong> passed every rule (95&nbsp;% interval" in page
    # The bar of each step begins where the next ones end.
    bars = re.findall(r"margin-left: ([\d.]+)%; width: ([\d.]+)%", page)
    ends = [float(start) + float(width) for start, width in bars]
    assert ends[0] == pytest.approx(100) and [float(start) for start, _ in bars][-1] == pytest.approx(48.5)
    assert ends[1:] == pytest.approx([float(start) for start, _ in bars][:-1])


def test_rules_show_their_thresholds_and_the_real_images_they_reject(page: str) -> None:
    rows = read_rows(page, "rules-caption")
    assert ["wrong label", "label probability below 0.5", "real images", "1.3"] in rows
    assert ["near copy of train", "train distance below 0.4", "real images 1 class pooled", "1.0"] in rows
    assert ["unsafe", "not applied", "–", "–"] in rows
    assert read_rows(page, "thresholds-caption")[1][1:] == ["0.5 (1.3)", "0.4 (1.0)", "–"]
    assert read_rows(page, "thresholds-caption")[2][1:] == ["0.5 (1.3)", "0.4† (1.0)", "–"]


def test_each_class_shows_its_shortfall_and_why_it_stopped(page: str) -> None:
    _, boot, coat, whole = read_rows(page, "plan-caption")
    assert boot[1:4] + boot[5:] == ["25", "50", "100", "50", "0", "full"]
    assert coat[1:4] + coat[5:] == ["25", "50", "100", "47", "3", "the budget of draws is spent"]
    assert whole[1:7] == ["50", "100", "200", "58.5", "97", "3"]
    head, *classes = read_rows(page, "class-funnel-caption")
    assert len(head) == 8
    for row in classes:
        assert sum(map(int, row[2:])) == int(row[1])
    rounds = read_rows(page, "rounds-caption")
    assert rounds[0] == ["Class", "Round 1", "Round 2"] and rounds[1][1:] == ["50 of 60", "0 of 40"]
    assert (
        "too few drawn images passed the filters. More images were drawn for classes that were not full, in 2 rounds"
        in " ".join(page.split())
    )


def test_copying_has_a_word_and_a_sentence_and_unchecked_safety_is_reported(page: str) -> None:
    assert re.search(r'<span class="tag unclear">too few images to tell</span> Too few images to tell whether', page)
    facts = make_facts()
    facts["filters"]["copying"]["whole"]["decision"] = "copies"
    facts["filters"] |= {"safety_checked": True, "flagged": "a checker flagged 5 of 50 drawn images (10.0 %)"}
    other = render_page(facts)
    assert "Safety: a checker flagged 5 of 50 drawn images (10.0 %). These are rejected" in other
    assert '<span class="tag loss">copies' in other
    assert "Safety: not checked" in page and "Safety: not checked" not in other
    head, first, second = read_rows(page, "copying-caption")
    assert len(head) == len(first) == len(second) == 7
    assert first[1] == "70" and re.fullmatch(r"\d+\.\d \(\d+\.\d to \d+\.\d\)", first[3])


def describe(**changes: Any) -> dict[str, Any]:
    given: dict[str, Any] = {
        "index": make_index([], []), "held_out": make_held_out([]), "names": ["a"], "wanted": [3],
        "rules": [make_rule("blank", 0.1, 1)], "stopped": ["budget"],
    } | changes  # fmt: skip
    return describe_filters(make_results(given.pop("index"), given.pop("held_out"), given.pop("names"),
                                         given.pop("wanted"), **given))  # fmt: skip


def test_an_empty_set_can_be_rendered() -> None:
    filters = describe()
    json.dumps(filters, allow_nan=False)
    page = render_page(
        make_facts() | {"filters": filters | {"galleries": [], "nearest": {"generated": [], "held_out": []}}}
    )
    assert read_rows(page, "plan-caption")[1] == ["a", "25", "3", "0", "–", "0", "3", "the budget of draws is spent"]
    assert "3 of 3 wanted images are missing" in page and "no class can be compared" in page
