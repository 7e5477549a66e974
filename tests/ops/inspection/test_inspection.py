"""What is planted in a set of real digits stands in the facts, in the messages and on the page."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from ops.inspection.inspection import Inspection, count_duplicates, inspect_pictures
from ops.inspection.page import render_inspection
from tests.inspected import NAMES, count_pictures, make_pictures, take_digits

SPLITS = ["train"] * 300 + ["validation"] * 50 + ["test"] * 50


@pytest.fixture(scope="module")
def planted() -> Inspection:
    """Row 11 is row 20, of another label; row 380 (test) is row 30; rows 40 and 390 (test) are moved copies of each
    other; row 50 is blank; the label of row 60 is wrong."""
    images, labels = take_digits(400, 24)
    images[11] = images[20]
    images[380], labels[380] = images[30], labels[30]
    images[390], labels[390] = np.roll(images[40], (1, 1), axis=(0, 1)), labels[40]
    images[50] = 0
    labels[60] = (labels[60] + 3) % 10
    pictures = make_pictures(images, labels, SPLITS)
    return inspect_pictures(pictures, count_pictures(pictures), name="digits")


def list_sentences(inspection: Inspection, level: str) -> list[str]:
    return [message["sentence"] for message in inspection.facts["messages"] if message["level"] == level]


def test_what_is_planted_is_in_the_facts(planted: Inspection) -> None:
    facts = planted.facts
    groups = {tuple(image["row"] for image in group["images"]): group for group in facts["duplicates"]}
    assert groups[11, 20]["kind"] == "exact"
    assert (groups[11, 20]["across_labels"], groups[11, 20]["across_splits"]) == (True, False)
    assert (groups[30, 380]["across_labels"], groups[30, 380]["across_splits"]) == (False, True)
    assert groups[40, 390]["kind"] == "near" and groups[40, 390]["across_splits"]
    assert count_duplicates(facts)["exact"] == {"groups": 2, "images": 4, "across_splits": 1, "across_labels": 1}
    assert facts["labels"]["judged"] and facts["labels"]["accuracy"] > 0.85
    suspects = {record["row"]: record for record in facts["labels"]["suspects"]}
    assert suspects[60]["suggested"] != suspects[60]["label"]
    assert [record["row"] for record in facts["blank"]] == [50]
    assert facts["images"] == {"train": 300, "validation": 50, "test": 50}
    assert sum(entry["train"] for entry in facts["classes"]) == 300
    assert facts["sizes"] == [{"width": 24, "height": 24, "images": 400}]
    assert json.loads(json.dumps(facts)) == facts


def test_messages_put_faults_first_and_name_images(planted: Inspection) -> None:
    levels = [message["level"] for message in planted.facts["messages"]]
    assert levels == sorted(levels, key=["fault", "warning", "note"].index)
    faults = list_sentences(planted, "fault")
    assert any("1 picture is in more than one split, e.g. 30.png in train and 380.png in test" in s for s in faults)
    assert any(
        re.search(r"1 picture stands under more than one label, e.g. 11.png as digit \d and 20.png as digit \d", s)
        for s in faults
    )
    warnings = list_sentences(planted, "warning")
    assert any("lies across splits, e.g. 40.png in train and 390.png in test" in s for s in warnings)
    assert any(
        re.search(r"\d labels? may be wrong, e.g. 60.png: .* to a classifier that is right on", s) for s in warnings
    )
    assert any("1 image is blank, e.g. 50.png" in s for s in warnings)
    assert any("the test split has 50 images" in s for s in list_sentences(planted, "note"))


def test_the_page_needs_nothing_but_itself_and_shows_no_test_image(planted: Inspection) -> None:
    page = render_inspection(planted)
    assert page == render_inspection(planted)
    assert re.findall(r'(?:src|href)="(?!data:image/png)', page) == []
    for name in ("11.png (train, ", "380.png (test, ", "60.png (train)"):
        assert name in page, name
    images, labels = planted.pictures.images.copy(), planted.pictures.labels
    images[planted.pictures.splits == "test"] = 123
    hidden = Inspection(planted.facts, replace(planted.pictures, images=images, labels=labels))
    assert render_inspection(hidden) == page


def test_names_are_escaped(planted: Inspection) -> None:
    facts = planted.facts | {"source": "<script>alert(1)</script>"}
    page = render_inspection(Inspection(facts, planted.pictures))
    assert "<script>" not in page and "&lt;script&gt;" in page


def test_a_drawn_split_warns_of_near_duplicates() -> None:
    images, labels = take_digits(60, 24)
    images[50], labels[50] = np.roll(images[40], (1, 1), axis=(0, 1)), labels[40]
    pictures = make_pictures(images, labels)
    found = inspect_pictures(pictures, count_pictures(pictures), name="x", drawn=["validation", "test"])
    (sentence,) = [s for s in list_sentences(found, "warning") if "near duplicates" in s]
    assert "validation and test will be drawn from" in sentence and "`group:`" in sentence
    units = np.arange(60)
    units[50] = units[40]
    grouped = inspect_pictures(replace(pictures, units=units), count_pictures(pictures), name="x", drawn=["test"])
    assert [group["across_units"] for group in grouped.facts["duplicates"]] == [False]
    assert not any("near duplicates" in s for s in list_sentences(grouped, "warning"))


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_tiny_sources_have_facts_and_a_page(count: int) -> None:
    images, labels = take_digits(count or 1)
    pictures = make_pictures(images[:count], labels[:count])
    found = inspect_pictures(pictures, count_pictures(pictures), name="tiny")
    assert found.facts["looked_at"] == count
    assert not found.facts["labels"]["judged"]
    assert "labels were not judged" in " ".join(list_sentences(found, "note"))
    assert "<h1>What is in tiny</h1>" in render_inspection(found)


def test_what_the_description_may_say_already_is_not_demanded() -> None:
    pictures = make_pictures(*take_digits(20))
    pictures = replace(pictures, sizes=[(16, 16), (40, 12)] * 10, transparent=2)
    notes = list_sentences(inspect_pictures(pictures, count_pictures(pictures), name="digits"), "note")
    assert any("2 images have transparent pixels, which take the colour that `background:`" in note for note in notes)
    assert any("2 sizes, sides of 12 to 40 pixels; `size:` in the source's" in note for note in notes)
    assert not any("needs a" in note for note in notes)


def test_a_class_with_fewer_images_than_splits_is_a_fault() -> None:
    pictures = make_pictures(*take_digits(22))  # two or three of each
    counts = count_pictures(pictures)
    drawn = inspect_pictures(pictures, counts, name="digits", drawn=["validation", "test"])
    fault = (
        r"class digit 2 has 2 images \(8 of 10 classes have too few\); every class needs 3, one for each of train, va"
    )
    assert any(re.match(fault, sentence) for sentence in list_sentences(drawn, "fault"))
    given = inspect_pictures(pictures, counts, name="digits")
    assert any("--force" in sentence for sentence in list_sentences(given, "warning"))


def test_one_class_is_a_fault_and_nothing_is_judged() -> None:
    images, _ = take_digits(40)
    pictures = make_pictures(images, np.zeros(40, np.int64))
    found = inspect_pictures(pictures, count_pictures(pictures, NAMES[:1]), name="x")
    assert any("there is one class; at least two are needed" in s for s in list_sentences(found, "fault"))
    assert found.facts["labels"] == {"judged": False, "accuracy": None, "chance": None, "suspects": []}


def test_mirror_images_under_two_labels_are_no_contradiction() -> None:
    images, labels = take_digits(100, 24)
    images, labels = images[labels > 1], labels[labels > 1]
    images[50], labels[50] = images[40][:, ::-1], (labels[40] + 1) % 10
    pictures = make_pictures(images, labels)
    found = inspect_pictures(pictures, count_pictures(pictures), name="x")
    groups = [group for group in found.facts["duplicates"] if {40, 50} <= {i["row"] for i in group["images"]}]
    assert groups and groups[0]["mirrored"] and groups[0]["across_labels"]
    assert not any("near duplicates stand" in s for s in list_sentences(found, "warning"))
