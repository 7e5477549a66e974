"""What an inspection says in sentences, the gravest first. A fault stops a run, a warning should be looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from ops.datasets.unlabelled import CLASS_NAME
from ops.planning.floors import describe_lack, describe_refusal

Level = Literal["fault", "warning", "note"]
FEW = 20  # training images of a class
SMALL_TEST = 200  # test images


def write_messages(facts: Mapping[str, Any]) -> list[dict[str, str]]:
    """`level` and `sentence` of each message; `facts` as `inspection.inspect_pictures` collects them."""
    messages = [*_say_duplicates(facts), *_say_files(facts), *_say_counts(facts), *_say_labels(facts), *_say_odd(facts)]
    order = ("fault", "warning", "note")
    return [
        {"level": level, "sentence": sentence}
        for level, sentence in sorted(messages, key=lambda message: order.index(message[0]))
    ]


def _say_duplicates(facts: Mapping[str, Any]) -> list[tuple[Level, str]]:
    said: list[tuple[Level, str]] = []
    groups = facts["duplicates"]
    exact = [group for group in groups if group["kind"] == "exact"]
    near = [group for group in groups if group["kind"] == "near"]
    if leaks := [group for group in exact if group["across_splits"]]:
        said.append(
            (
                "fault",
                f"{_count(leaks, 'picture')} {_is(leaks)} in more than one split, e.g. {_pair(leaks[0], 'split')};"
                " remove all but one of each, or set `skip_copies: true` in the description of the source",
            )
        )
    if conflicts := [group for group in exact if group["across_labels"]]:
        said.append(
            (
                "fault",
                f"{_count(conflicts, 'picture')} stand{_s(conflicts)} under more than one label, e.g."
                f" {_pair(conflicts[0], 'label')}; remove the wrong ones, or set"
                " `allow_conflicts: true` in the description of the source",
            )
        )
    if repeats := [group for group in exact if not group["across_splits"] and not group["across_labels"]]:
        said.append(
            (
                "note",
                f"{_count(repeats, 'picture')} {_is(repeats)} there more than once within a split and label, e.g."
                f" {_names(repeats[0])}",
            )
        )
    if leaks := [group for group in near if group["across_splits"]]:
        said.append(
            (
                "warning",
                f"{_count(leaks, 'group')} of near duplicates {'lie' if len(leaks) > 1 else 'lies'} across splits, e.g."
                f" {_pair(leaks[0], 'split')}; a classifier that learns from one knows the other",
            )
        )
    # A b is a mirrored d: mirror images under two labels are no contradiction.
    if doubts := [group for group in near if group["across_labels"] and not group["mirrored"]]:
        said.append(
            (
                "warning",
                f"{_count(doubts, 'group')} of near duplicates stand{_s(doubts)} under more than one label, e.g."
                f" {_pair(doubts[0], 'label')}",
            )
        )
    apart = [group for group in near if group["across_units"]]
    if apart and facts["drawn_splits"]:
        drawn = " and ".join(facts["drawn_splits"])
        said.append(
            (
                "warning",
                f"{_count(apart, 'group')} of near duplicates {_is(apart)} in the images that {drawn} will be drawn"
                " from; `group:` in the source's description keeps what belongs together in one split",
            )
        )
    return said


def _say_files(facts: Mapping[str, Any]) -> list[tuple[Level, str]]:
    said: list[tuple[Level, str]] = []
    if broken := facts["unreadable"]:
        said.append(
            (
                "fault",
                f"{_count(broken, 'image')} cannot be used, e.g. {broken[0]['name']}: {broken[0]['why']}",
            )
        )
    if "shallow" in facts:
        said.append(("fault", facts["shallow"]))
    if number := facts["transparent"]:
        said.append(
            (
                "note",
                f"{number:,} image{'s have' if number > 1 else ' has'} transparent pixels, which take the colour that"
                " `background:` in the description of the source says",
            )
        )
    if len(facts["sizes"]) > 1:
        sides = [size[key] for size in facts["sizes"] for key in ("width", "height")]
        said.append(
            (
                "note",
                f"the images have {len(facts['sizes']):,} sizes, sides of {min(sides):,} to {max(sides):,} pixels;"
                " `size:` in the source's description brings them to one",
            )
        )
    return said


def _say_counts(facts: Mapping[str, Any]) -> list[tuple[Level, str]]:
    said: list[tuple[Level, str]] = []
    classes = facts["classes"]
    if [entry["name"] for entry in classes] == [CLASS_NAME]:
        said.append(("note", "the images have no labels: they can be expanded beside a labelled part, or be a pool"))
    elif len(classes) < 2:
        said.append(("fault", f"there {'is one class' if classes else 'are no classes'}; at least two are needed"))
    if missing := [entry["name"] for entry in classes if not entry["train"]]:
        said.append(("fault", f"class {missing[0]} has no training images"))
    lack = refusal = None
    if len(classes) > 1 and all(entry["train"] for entry in classes):
        counts, names = np.array([entry["train"] for entry in classes]), [entry["name"] for entry in classes]
        lack = describe_lack(counts, names)
        refusal = describe_refusal(counts, counts, names, ("train", *facts["drawn_splits"]))
    if refusal:
        said.append(("fault", refusal))
    elif lack:
        said.append(("warning", f"{lack}; `growset run` asks for --force"))
    elif few := [entry for entry in classes if 0 < entry["train"] < FEW]:
        least = min(few, key=lambda entry: entry["train"])
        have = "class has" if len(few) == 1 else "classes have"
        said.append(
            (
                "warning",
                f"{len(few):,} {have} fewer than {FEW} training images, the fewest {least['name']}: {least['train']}",
            )
        )
    test = facts["images"].get("test")
    if test is not None and test < SMALL_TEST:
        said.append(("note", f"the test split has {test:,} images: only large effects will show"))
    return said


def _say_labels(facts: Mapping[str, Any]) -> list[tuple[Level, str]]:
    labels = facts["labels"]
    if labels["accuracy"] is None:
        return [("note", "labels were not judged: that takes two classes of three images each")]
    if not labels["judged"]:
        return [
            (
                "warning",
                f"labels were not judged: a simple classifier is too weak for that, {100 * labels['accuracy']:.0f} %"
                f" correct where chance gives {100 * labels['chance']:.0f} %",
            )
        ]
    if not (suspects := labels["suspects"]):
        return []
    first = suspects[0]
    return [
        (
            "warning",
            f"{_count(suspects, 'label')} may be wrong, e.g. {first['name']}: {first['label']}, but more like"
            f" {first['suggested']} to a classifier that is right on {100 * labels['accuracy']:.0f} % of all",
        )
    ]


def _say_odd(facts: Mapping[str, Any]) -> list[tuple[Level, str]]:
    said: list[tuple[Level, str]] = []
    for key, what in (
        ("blank", "blank"),
        ("outliers", "unlike the rest of the class"),
        ("noisy", "as sharp as noise"),
        ("blurred", "far less sharp than the rest"),
        ("grey", "grey among images in colour"),
    ):
        if rows := facts[key]:
            level: Level = "warning" if key in ("blank", "noisy") else "note"
            said.append((level, f"{_count(rows, 'image')} {_is(rows)} {what}, e.g. {rows[0]['name']}"))
    return said


def _count(rows: Sequence[Any], what: str) -> str:
    return f"{len(rows):,} {what}{'s' * (len(rows) > 1)}"


def _is(rows: Sequence[Any]) -> str:
    return "are" if len(rows) > 1 else "is"


def _s(rows: Sequence[Any]) -> str:
    """The ending of a verb."""
    return "" if len(rows) > 1 else "s"


def _pair(group: Mapping[str, Any], key: str) -> str:
    """Two images of a group that differ in `key`, and in what."""
    first = group["images"][0]
    other = next(image for image in group["images"] if image[key] != first[key])
    joined = " in " if key == "split" else " as "
    return " and ".join(f"{image['name']}{joined}{image[key]}" for image in (first, other))


def _names(group: Mapping[str, Any]) -> str:
    return " and ".join(image["name"] for image in group["images"][:2])
