"""Charts: well-formed, themed by the page, described in words, and the same bytes every time."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import pytest

from ops.report.charts import NARROW, WIDE, draw_arms, draw_classes, draw_curve, draw_lengths, draw_training

LOSSES = [1.0, 0.6, 0.4, 0.35]


def make_arm(name: str, kind: str, accuracy: float, same_as: str | None = None) -> dict[str, Any]:
    spread = {"estimate": accuracy, "low": accuracy - 0.01, "high": accuracy + 0.012, "standard_error": 0.005}
    return {"arm": name, "kind": kind, "same_as": same_as, "score": spread}


ARMS = [
    make_arm("real", "baseline", 0.80),
    make_arm("augmented", "baseline", 0.82),
    make_arm("expanded", "expanded", 0.84),
    make_arm("class_weighted", "baseline", 0.80, "real"),
]


def draw(width: int, arms: list[dict[str, Any]] = ARMS) -> str:
    chosen = {"challenger": "expanded", "baseline": "augmented"}
    return draw_arms(arms, metric="balanced accuracy", **chosen, confidence=0.95, width=width)


def draw_losses(every: int, *, width: int) -> str:
    return draw_curve("losses", "Loss", [every * (i + 1) for i in range(len(LOSSES))], LOSSES, width=width)


def read_texts(svg: str) -> list[str]:
    return [str(element.text) for element in ElementTree.fromstring(svg).iter("text")]


CLASSES = [
    {"name": "rare", "train_images": 5, "difference": make_arm("", "", 0.1)["score"], "clear": True},
    {"name": "common", "train_images": 500, "difference": make_arm("", "", -0.02)["score"], "clear": False},
]


def draw_by_class(width: int) -> str:
    return draw_classes(CLASSES, challenger="expanded", baseline="mixup", width=width)


def draw_steps(width: int, tie: bool = False) -> str:
    points = [
        {"arm": arm, "kind": kind, "steps": steps, "validation": score}
        for arm, kind, top in (("mixup", "baseline", 0.9), ("grown", "expanded", 0.9 if tie else 0.91))
        for steps, score in ((100, 0.8), (200, 0.85), (400, top))
    ]
    return draw_lengths(points, metric="accuracy", width=width)


def test_an_arm_without_steps_is_a_level_line_beside_the_other() -> None:
    points = [{"arm": "probe", "kind": "baseline", "steps": 0, "validation": 0.9}]
    points += [{"arm": "grown", "kind": "expanded", "steps": steps, "validation": 0.8} for steps in (50, 100)]
    svg = draw_lengths(points, metric="accuracy", width=WIDE)
    described = ElementTree.fromstring(svg).findtext("desc")
    assert described == "probe: 90.0 % without steps; grown: 80.0 % after 50 steps, 80.0 % after 100 steps."
    assert {"50", "100", "probe 90.0", "grown 80.0"} <= set(read_texts(svg))


def draw_small(steps: int = 100) -> str:
    return draw_training("augmented", "baseline", LOSSES, steps, top=2.5)


@pytest.mark.parametrize(
    "svg",
    [draw(WIDE), draw(NARROW), draw_losses(20, width=WIDE), draw_small(), draw_by_class(NARROW), draw_steps(NARROW)],
)
def test_a_chart_is_a_themed_picture_with_words(svg: str) -> None:
    root = ElementTree.fromstring(svg)
    assert root.attrib["role"] == "img"
    assert len([root.findtext("title"), root.findtext("desc")]) == 2 and root.findtext("desc")
    assert "var(--" in svg
    assert not re.search(r"#[0-9a-f]{6}\b", svg.replace('href="#', "")), "a colour that no theme changes"
    assert "http" not in svg and "font-family" not in svg and "<style" not in svg


def test_arms_are_sorted_marked_and_not_shown_twice() -> None:
    names = [text for text in read_texts(draw(WIDE)) if text in {arm["arm"] for arm in ARMS}]
    assert names == ["real", "augmented", "expanded"], "drawn from the bottom up"
    assert "84.0 · challenger" in read_texts(draw(NARROW)) and "82.0 · picked baseline" in read_texts(draw(WIDE))
    assert "expanded (expanded, challenger): 84.0 %, 83.0 to 85.2" in draw(WIDE)


def test_arms_over_steps_are_named_at_their_ends_and_told_apart_without_colour() -> None:
    for svg, ends in ((draw_steps(WIDE), {"mixup 90.0", "grown 91.0"}), (draw_steps(NARROW), {"90.0", "91.0"})):
        assert ends | {"100", "200", "400"} <= set(read_texts(svg))
        assert svg.count("stroke-dasharray: ") == 1, "the line of the arm with generated images"
    assert "mixup: 80.0 % after 100 steps, 85.0 % after 200 steps, 90.0 % after 400 steps; grown: 80.0 %" in draw_steps(
        WIDE
    )
    places = {
        text.text: text.attrib["transform"] for text in ElementTree.fromstring(draw_steps(WIDE, True)).iter("text")
    }
    assert places["mixup 90.0"] != places["grown 90.0"], "labels of equal ends do not cover each other"


def test_odd_names_neither_break_the_markup_nor_the_layout() -> None:
    arms = [make_arm("<b>$x$</b>", "baseline", 0.7), make_arm("n" * 200, "expanded", 0.9)]
    svg = draw_arms(arms, metric="accuracy", challenger="n" * 200, baseline="<b>$x$</b>", confidence=0.9, width=WIDE)
    assert "<b>$x$</b>" in read_texts(svg)
    assert max(len(text) for text in read_texts(svg)) < 40


def test_equal_arms_without_spread_are_drawn() -> None:
    flat = {"estimate": 1.0, "low": 1.0, "high": 1.0, "standard_error": 0.0}
    arms = [
        make_arm("real", "baseline", 1.0) | {"score": flat},
        make_arm("more", "expanded", 1.0) | {"score": flat},
    ]
    svg = draw_arms(arms, metric="accuracy", challenger="more", baseline="real", confidence=0.95, width=NARROW)
    assert "nan" not in svg and "100.0 · challenger" in read_texts(svg)


def test_the_loss_curve_ends_at_its_last_value() -> None:
    svg = draw_losses(20, width=NARROW)
    assert "From 1 at step 20 to 0.35 at step 80." in svg and "0.35" in read_texts(svg)


def test_a_curve_marks_the_kept_step_and_the_level_of_real_images() -> None:
    level = ("real training images", 0.1)
    svg = draw_curve("quality", "Distance", [5, 10, 15, 20], LOSSES, width=WIDE, marked=10, level=level)
    assert {"0.6", "real training images"} <= set(read_texts(svg))
    assert "Real training images: 0.1." in svg


def test_training_curves_share_their_scale() -> None:
    svg = draw_small(90)
    assert "From 1 to 0.35 in 90 steps; the axis ends at 2.5." in svg
    assert {"0", "90", "2"} <= set(read_texts(svg))
    assert draw_training("real", "baseline", [0.7], 1, top=0.7), "one step is enough"


def test_same_figures_give_the_same_bytes_and_charts_share_no_ids() -> None:
    assert draw(WIDE) == draw(WIDE) and draw_losses(20, width=WIDE) == draw_losses(20, width=WIDE)
    charts = (draw(WIDE), draw(NARROW), draw_losses(5, width=WIDE), draw_small())
    ids = [re.findall(r'\bid="([^"]+)"', svg) for svg in charts]
    assert sum(map(len, ids)) == len({name for group in ids for name in group})
    for target in re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', draw(WIDE)):
        assert "".join(target) in ids[0]


def test_classes_are_drawn_over_their_training_images() -> None:
    svg = draw_by_class(WIDE)
    assert "rare (5): +10.0; common (500): -2.0." in svg
    assert {"5", "10", "100", "500", "training images of the class"} <= set(read_texts(svg))
    assert svg == draw_by_class(WIDE)
