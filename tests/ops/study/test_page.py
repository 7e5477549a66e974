"""The page and the figure of a study, on tables made by hand."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ops.errors import UserError
from ops.study.classifier_page import list_arms, list_pairs, list_panels, render
from ops.study.design import ClassifierPart, Study, StudyDesign
from ops.study.figure import MARKS, Panel, draw_figure
from ops.study.page import BEGIN, END, write_page
from ops.study.results import SCHEMA
from ops.study.running import Finished
from ops.study.summary import Difference

KEYS: dict[str, Any] = {
    "kind": "classifiers",
    "images": {"source": "digits"},
    "recipe": "digits",
    "settings": {"100": {"data.images_per_class": 100}, "10": {"data.images_per_class": 10}},
    "steps": [800, 400],
    "seeds": [0, 1],
    "baselines": {"plain": {}, "strong": {"augmentation": "flip_crop"}},
    "expanded": {"grown": {}, "placebo": {"placebo": "augmented"}},
    "ensembles": {"ensemble": "plain"},
    "quick": {"settings": ["10"]},
}
Scores = dict[str, list[float | None]]  # of each arm, by seed


def build_part(**changes: Any) -> ClassifierPart:
    return ClassifierPart.model_validate({**KEYS, **changes})


def table(blocks: dict[tuple[str, int], Scores], measure: str = "accuracy") -> pl.DataFrame:
    rows = [
        ("part", setting, steps, seed, arm, 0, measure, value, 1.0, f"{setting}{steps}{seed}{arm}")
        for (setting, steps), scores in blocks.items()
        for arm, values in scores.items()
        for seed, value in enumerate(values)
    ]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def read_tables(lines: list[str]) -> list[list[list[str]]]:
    """The rows of each table, without the rule under the heads."""
    found: list[list[list[str]]] = []
    for before, line in zip(["", *lines], lines, strict=False):
        if line.startswith("|") and not before.startswith("|"):
            found.append([])
        if line.startswith("|") and set(line) - set("|- "):
            found[-1].append([cell.strip() for cell in line.strip("|").split("|")])
    return found


TEN: Scores = {"plain": [0.5, 0.52], "strong": [0.6, 0.64], "ensemble": [0.63, 0.65]}
TEN |= {"grown": [0.62, 0.70], "placebo": [0.61, 0.61]}
HUNDRED: Scores = {"plain": [0.7, 0.7], "strong": [0.8, 0.8], "ensemble": [0.82, 0.82]}
HUNDRED |= {"grown": [0.81, 0.81], "placebo": [0.7, 0.7]}


def test_arms_are_told_apart_by_what_taught_them() -> None:
    part = build_part(ensembles={"ensemble": "plain", "grown-ensemble": "grown"})
    assert list_arms(part) == (["plain", "strong", "placebo", "ensemble"], ["grown", "grown-ensemble"])
    assert list_pairs(part) == [("grown", "plain"), ("grown", "placebo")]
    assert list_pairs(build_part(expanded={}, ensembles={})) == [("strong", "plain")]


def test_means_differences_and_labels_by_hand() -> None:
    lines = render(build_part(), table({("10", 400): TEN, ("100", 400): HUNDRED}))
    means, differences, worth = read_tables(lines)
    assert means == [
        ["setting", "steps", "seeds", "plain", "strong", "placebo", "ensemble", "grown"],
        ["100", "400", "2", "70.0", "80.0", "70.0", "82.0", "81.0"],
        ["10", "400", "2", "51.0", "62.0", "61.0", "64.0", "66.0"],
    ]
    assert differences[0] == [
        "setting",
        "steps",
        "best with − best without",
        "best with − best ensemble",
        "grown − plain",
        "grown − placebo",
    ]
    # 0.02 and 0.06: mean 0.04, s = 0.0283, t = 12.706 with one degree of freedom.
    assert differences[2][2] == "+4.0 ± 25.4: grown − strong"
    assert differences[2][3] == "+2.0 ± 38.1: grown − ensemble"
    assert differences[1][2:] == ["+1.0 ± 0.0: grown − strong", "-1.0 ± 0.0: grown − ensemble", *differences[1][4:]]
    # 66 lies 4 / 18 of the way from 62 at 10 labels to 80 at 100 labels; 81 lies above the curve.
    assert worth == [["setting", "steps", "grown"], ["100", "400", "–"], ["10", "400", f"{10 * 10 ** (4 / 18):.0f}"]]


def test_a_seed_without_generator_counts_for_no_difference_and_is_told() -> None:
    unused: Scores = {**TEN, "grown": [0.62, None], "placebo": [0.61, None]}
    lines = render(build_part(), table({("10", 400): unused}))
    assert "In 1 of 2 blocks the generator was not used" in lines[0]
    means, differences, _ = read_tables(lines)
    assert means[1] == ["10", "400", "2", "51.0", "62.0", "61.0 (1)", "64.0", "62.0 (1)"]
    assert differences[1][2] == "-1.0: grown − placebo" or differences[1][2] == "+1.0: grown − placebo"
    never: Scores = {**TEN, "grown": [None, None], "placebo": [None, None]}
    means, differences, worth = read_tables(render(build_part(), table({("10", 400): never})))
    assert means[1][5] == means[1][7] == "–"
    assert differences[1][2:] == ["–"] * 4
    assert worth[1][2] == "–"


def test_a_measure_without_a_meaning_is_not_a_generator_that_was_not_used() -> None:
    nothing: Scores = {arm: [None, None] for arm in TEN}
    lines = render(build_part(measures=["tail"]), table({("10", 400): nothing}, "tail"))
    assert not any("not used" in line for line in lines)


def test_labels_are_shown_only_where_settings_are_numbers_of_labels() -> None:
    part = build_part(settings={"10": {"data.label_noise": 0.1}, "100": {"data.images_per_class": 100}})
    assert not any("real labels" in line for line in render(part, table({("10", 400): TEN})))


def test_a_setting_is_compared_with_another_arm_by_arm() -> None:
    part = build_part(
        settings={"flow": {}, "flow+cbdm": {}}, against={"flow+cbdm": "flow"}, quick={"settings": ["flow"]}
    )
    lines = render(part, table({("flow", 400): TEN, ("flow+cbdm", 400): HUNDRED}))
    assert "One setting minus another in accuracy, likewise:" in lines
    (shown,) = [each for each in read_tables(lines) if each[0][0] == "settings"]
    assert shown[0] == ["settings", "steps", "grown", "placebo"]
    assert shown[1][:3] == ["flow+cbdm − flow", "400", "+15.0 ± 50.8"]


def make_study(folder: Path, part: ClassifierPart, question: str = "Is it so?") -> Study:
    return Study("digits", folder, StudyDesign(question=question, parts={"part": part}))


def test_text_around_the_marks_stays(tmp_path: Path) -> None:
    study, found = make_study(tmp_path, build_part()), Finished(table({("10", 400): TEN}), 20, 10)
    page = write_page(study, found)
    assert page.read_text().startswith("# Is it so?\n\n")
    first = page.read_text()
    page.write_text(f"# Mine\n\nBefore.\n{first[first.index(BEGIN) :]}\nAfter: [x](y).\n")
    text = write_page(study, Finished(table({("10", 400): HUNDRED}), 20, 0)).read_text()
    assert text.startswith(f"# Mine\n\nBefore.\n{BEGIN}\n")
    assert text.endswith(f"{END}\n\nAfter: [x](y).\n")
    assert "20 of 20 cells" in text
    assert "10 of 20" not in text
    assert write_page(study, Finished(table({("10", 400): HUNDRED}), 20, 0)).read_text() == text


def test_a_page_without_marks_gets_them_at_its_end(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# Mine\n\nAll that I wrote.")
    text = write_page(make_study(tmp_path, build_part()), Finished(table({}), 20, 20)).read_text()
    assert text.startswith(f"# Mine\n\nAll that I wrote.\n\n{BEGIN}\n")
    assert not (tmp_path / "figure.svg").exists()
    assert "figure.svg" not in text


@pytest.mark.parametrize("mark", [BEGIN, END])
def test_a_page_that_lost_a_mark_is_not_touched(tmp_path: Path, mark: str) -> None:
    text = f"# Mine\n\n{mark}\n\nMuch that I wrote.\n"
    (tmp_path / "README.md").write_text(text)
    with pytest.raises(UserError, match=r"README\.md must have both marks"):
        write_page(make_study(tmp_path, build_part()), Finished(table({}), 20, 20))
    assert (tmp_path / "README.md").read_text() == text


def test_the_figure_has_every_arm_and_equal_results_give_equal_bytes(tmp_path: Path) -> None:
    part, found = build_part(), table({("10", 400): TEN, ("100", 400): HUNDRED, ("10", 800): TEN})
    panels = list_panels("part", part, found)
    assert [panel.title for panel in panels] == ["part, 400 steps", "part, 800 steps"]
    assert panels[0].lines["grown"]["10"].mean == pytest.approx(0.15)
    assert "grown" not in panels[0].dashed
    assert {"strong", "placebo", "ensemble"} <= set(panels[0].dashed)
    drawn = draw_figure([panels])
    assert drawn == draw_figure([list_panels("part", part, found.reverse())])
    texts = [
        "".join(node.itertext()).strip()
        for node in ElementTree.fromstring(drawn).iter("{http://www.w3.org/2000/svg}text")
    ]
    assert {"strong", "placebo", "ensemble", "grown", "points above plain", "10", "100"} <= set(texts)
    assert "Date" not in drawn


def test_no_two_of_many_arms_look_alike() -> None:
    lines = {f"arm {number}": {"a": Difference(0.01, None, 1)} for number in range(30)}
    drawn = draw_figure([[Panel("title", "points", ("a",), lines)]])
    shown = re.findall(r'<use xlink:href="#(m[0-9a-f]+)" x="[0-9.]+" y="[0-9.]+" style="fill: (#[0-9a-f]+)', drawn)
    assert len(set(shown)) == 30


def test_lines_have_a_mark_each_and_error_bars_where_there_are_intervals() -> None:
    lines = {
        name: {place: Difference(0.01, width, 3) for place in ("a", "b")} for name, width in (("x", 0.02), ("y", 0.03))
    }
    drawn = draw_figure([[Panel("title", "points", ("a", "b"), lines)]])
    bars = re.findall(r'id="LineCollection_\d+"', drawn)
    marks = set(re.findall(r'<path id="(m[0-9a-f]+)"', drawn))
    assert len(bars) == 2 * 2, "each in the panel and in the legend"
    assert len(marks) >= 2, MARKS
