"""The page and the figure of a study, on tables made by hand."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from itertools import pairwise
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ops.errors import UserError
from ops.study.classifier_page import list_rows, render
from ops.study.design import ClassifierPart, Study, StudyDesign
from ops.study.figure import MARKS, Panel, draw_figure
from ops.study.page import BEGIN, END, write_page
from ops.study.part_arms import list_arms, list_pairs
from ops.study.results import SCHEMA
from ops.study.running import Finished
from ops.study.summary import Difference
from ops.study.tables import WIDE, format_table

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


def test_of_a_measure_whose_lower_values_are_better_the_lowest_arm_is_the_best() -> None:
    ten: Scores = {**TEN, "grown": [0.55, 0.57], "placebo": [0.45, 0.45]}
    hundred: Scores = {**HUNDRED, "plain": [0.4, 0.4], "strong": [0.3, 0.3], "placebo": [0.42, 0.42]}
    part = build_part(measures=["calibration_error"])
    lines = render(part, table({("10", 400): ten, ("100", 400): hundred}, "calibration_error"))
    means, differences, worth = read_tables(lines)
    assert "Mean calibration error, %:" in lines
    assert means[2][3:] == ["51.0", "62.0", "45.0", "64.0", "56.0"]
    assert differences[2][2] == "+11.0 ± 12.7: grown − placebo"
    assert differences[1][2] == "+51.0 ± 0.0: grown − strong"
    # 56 lies above the curve, which falls from 45 at 10 labels to 30 at 100.
    assert [row[2] for row in worth[1:]] == ["–", "–"]
    ten["grown"] = [0.36, 0.36]
    *_, worth = read_tables(render(part, table({("10", 400): ten, ("100", 400): hundred}, "calibration_error")))
    # 36 lies 9 / 15 of the way from 45, of the placebo, to 30, of `strong`.
    assert worth[2][2] == f"{10 * 10 ** (9 / 15):.0f}"


def test_invariance_is_shown_in_nats_and_compared_beside_accuracy() -> None:
    part = build_part(measures=["accuracy", "head", "ekld", "ekld_error", "size_correlation"])
    nats: Scores = {"plain": [0.0151, 0.0149], "strong": [0.01, 0.01], "ensemble": [0.02, 0.02]}
    nats |= {"grown": [0.003, 0.005], "placebo": [0.03, 0.03]}
    ranks: Scores = {arm: [-0.875, -0.885] for arm in TEN} | {"grown": [-0.25, -0.25]}
    blocks = [(TEN, "accuracy"), (TEN, "head"), (nats, "ekld"), (nats, "ekld_error"), (ranks, "size_correlation")]
    lines = render(part, pl.concat([table({("10", 400): scores}, name) for scores, name in blocks]))
    heads = [line for line in lines if line.startswith(("Mean", "Differences"))]
    assert heads == [
        "Mean accuracy, %:",
        "Mean head, %:",
        "Mean eKLD, nats:",
        "Mean standard error of eKLD, nats:",
        "Mean rank correlation of class size and eKLD:",
        "Differences in accuracy, in points, paired by seed, with 95 % intervals over the seeds:",
        "Differences in head, in points, paired by seed, with 95 % intervals over the seeds:",
        "Differences in eKLD, in nats, paired by seed, with 95 % intervals over the seeds:",
        "Differences in rank correlation of class size and eKLD, paired by seed, with 95 % intervals over the seeds:",
    ]
    _, _, ekld, _, correlation, _, _, in_nats, in_ranks, _ = read_tables(lines)
    assert ekld[1][3:] == ["0.015", "0.010", "0.030", "0.020", "0.004"]
    assert correlation[1][3:] == ["-0.88"] * 4 + ["-0.25"]
    assert in_nats[1][2] == "-0.006 ± 0.013: grown − strong"
    assert in_ranks[0] == ["setting", "steps", "grown − plain", "grown − placebo"], "neither sign is better"
    assert in_ranks[1][2] == "+0.63 ± 0.06"


ORACLE: dict[str, Any] = {
    "baselines": {**KEYS["baselines"], "oracle": {"variants": {"kind": "git", "by": ["oracle"]}}},
    "ensembles": {"ensemble": "plain", "oracles": "oracle"},
}
BEST: Scores = {**TEN, "oracle": [0.82, 0.86], "oracles": [0.83, 0.87]}


def test_an_oracle_is_shown_but_is_never_the_best_arm_without_generated_images() -> None:
    part = build_part(**ORACLE, shares={"grown": {"over": "plain", "ceiling": "oracle"}}, pairs={"strong": "plain"})
    means, differences, shares, _ = read_tables(render(part, table({("10", 400): BEST})))
    assert "oracle" in means[0] and "oracles" in means[0]
    assert differences[1][2:4] == ["+4.0 ± 25.4: grown − strong", "+2.0 ± 38.1: grown − ensemble"]
    assert differences[0][4:] == ["grown − plain", "grown − placebo", "strong − plain"]
    assert differences[1][6] == "+11.0 ± 12.7"
    assert shares[0] == ["setting", "steps", "grown: plain = 0, oracle = 100"]
    # 0.12 of 0.32, and 0.18 of 0.34: 0.15 of 0.33.
    assert shares[1][2].startswith("45 (")


def test_the_best_arms_that_saw_a_pool_and_that_did_not_stand_beside_each_other() -> None:
    seeing = {"fixmatch": {"unlabelled": "fixmatch"}, "taught": {"targets": {"kind": "teacher", "of": "fixmatch"}}}
    part = build_part(baselines={**KEYS["baselines"], **seeing})
    scores: Scores = {**TEN, "fixmatch": [0.7, 0.7], "taught": [0.69, 0.72]}
    _, differences, _ = read_tables(render(part, table({("10", 400): scores})))
    heads = [f"best with − {each}" for each in ("best without that saw no pool", "best without that saw the pool")]
    assert differences[0][2:5] == [*heads, "best with − best ensemble"]
    # 0.62 - 0.69 and 0.70 - 0.72: mean -0.045, s = 0.0354.
    assert differences[1][2:4] == ["+4.0 ± 25.4: grown − strong", "-4.5 ± 31.8: grown − taught"]


def test_the_best_arms_that_learnt_without_labels_and_from_labels_stand_beside_each_other() -> None:
    views: dict[str, Any] = {"trainer": "simclr"}
    weak, weaker = ({**views, "strength": each} for each in (0.5, 0.25))
    baselines = {"plain": {}, "views": views, "weak": weak, "weaker": weaker}
    part = build_part(
        baselines=baselines,
        expanded={"grown": {**weak, "real_weight": 3.0}},
        ensembles={},
        pairs={"grown": ["views", "weaker"]},
    )
    scores: Scores = {"plain": [0.9, 0.9], "views": [0.5, 0.5], "weak": [0.6, 0.6], "weaker": [0.7, 0.7]}
    differences = read_tables(render(part, table({("10", 400): {**scores, "grown": [0.8, 0.8]}})))[1]
    heads = [f"best with − best without that learnt {each}" for each in ("without labels", "from labels")]
    assert differences[0][2:] == [*heads, "grown − weak", "grown − views", "grown − weaker"]
    assert [cell.partition(" ±")[0] for cell in differences[1][2:]] == ["+10.0", "-10.0", "+20.0", "+30.0", "+10.0"]
    assert [cell.partition(": ")[2] for cell in differences[1][2:4]] == ["grown − weaker", "grown − plain"]


def test_corruptions_are_shown_each_and_compared_together() -> None:
    part = build_part(measures=["accuracy", "corrupted", "corrupted_jpeg"])
    found = pl.concat([table({("10", 400): TEN}, name) for name in part.measures])
    lines = render(part, found)
    assert "Mean accuracy under jpeg, %:" in lines
    told = [line.split(",")[0] for line in lines if line.startswith("Differences")]
    assert told == ["Differences in accuracy", "Differences in accuracy under all corruptions"]


def test_accuracy_in_groups_of_classes_is_compared_too() -> None:
    part = build_part(measures=["accuracy", "head", "fgsm"])
    found = [table({("10", 400): TEN}, name) for name in part.measures]
    told = [line for line in render(part, pl.concat(found)) if line.startswith("Differences")]
    assert [line.split(",")[0] for line in told] == ["Differences in accuracy", "Differences in head"]


def test_a_table_of_many_columns_and_few_rows_is_turned_over() -> None:
    heads = ["setting", *(f"arm{number}" for number in range(WIDE))]
    rows = [[name, *(f"{name}{number}" for number in range(WIDE))] for name in ("a", "b")]
    turned = format_table(heads, rows)
    assert turned[:3] == ["| setting | a | b |", "| --- | --- | --- |", "| arm0 | a0 | b0 |"]
    assert len(turned) == 2 + WIDE
    assert format_table(heads[:-1], [row[:-1] for row in rows])[2] == f"| a | {' | '.join(rows[0][1:-1])} |"
    many = rows * WIDE
    assert len(format_table(heads, many)) == 2 + len(many), "it would become no narrower"


def test_the_figure_has_the_arms_that_are_named_above_the_first_of_them() -> None:
    ((panel,),) = list_rows("part", build_part(drawn=["strong", "grown"]), table({("10", 400): TEN}))
    assert list(panel.lines) == ["grown"]
    assert panel.label == "points above strong"
    assert panel.lines["grown"]["10"].mean == pytest.approx(0.04)


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
    (panels,) = list_rows("part", part, found)
    assert [panel.title for panel in panels] == ["part, 400 steps", "part, 800 steps"]
    assert panels[0].lines["grown"]["10"].mean == pytest.approx(0.15)
    assert "grown" not in panels[0].dashed
    assert {"strong", "placebo", "ensemble"} <= set(panels[0].dashed)
    drawn = draw_figure([panels])
    assert drawn == draw_figure(list_rows("part", part, found.reverse()))
    assert {"strong", "placebo", "ensemble", "grown", "points above plain", "10", "100"} <= set(read_texts(drawn))
    assert "Date" not in drawn


def test_curves_are_rows_of_their_own(tmp_path: Path) -> None:
    part = build_part(curves=["recall", "ekld"], expanded={}, ensembles={}, baselines={"plain": {}, "strong": {}})
    two: Scores = {"plain": [0.5, 0.7], "strong": [0.6, 0.8]}
    rows = [("images@1", {arm: [100.0, 100.0] for arm in two}), ("images@2", {arm: [7.0, 7.0] for arm in two})]
    rows += [("recall@1", two), ("recall@2", two), ("ekld@1", two), ("ekld@2", two)]
    found = [table({("10", 400): scores}, name) for name, scores in [("accuracy", two), *rows]]
    above, recall, ekld = list_rows("part", part, pl.concat(found))
    assert [panel.label for (panel,) in (above, recall, ekld)] == ["points above plain", "recall, %", "eKLD, nats"]
    assert [panel.scale for (panel,) in (above, recall, ekld)] == [100, 100, 1]
    text = write_page(make_study(tmp_path, part), Finished(pl.concat(found), 20, 0)).read_text()
    assert "recall, %, part, 10, 400 steps; eKLD, nats, part, 10, 400 steps" in text
    assert "eKLD, nats" in (tmp_path / "figure.svg").read_text()
    assert len(list_rows("part", part, found[0])) == 3 and list_rows("part", part, found[0])[1:] == [[], []]


def read_texts(drawn: str) -> list[str]:
    nodes = ElementTree.fromstring(drawn).iter("{http://www.w3.org/2000/svg}text")
    return ["".join(node.itertext()).strip() for node in nodes]


def test_values_are_drawn_times_their_scale() -> None:
    def draw(factor: float, scale: float) -> str:
        line = {place: Difference(factor * value, factor * 0.01, 3) for place, value in (("5", 0.3), ("500", 0.1))}
        return draw_figure([[Panel("title", "label", ("5", "500"), {"x": line}, scale=scale)]])

    assert draw(1.0, 100.0) == draw(100.0, 1.0)
    assert draw(1.0, 100.0) != draw(1.0, 1.0)


def test_numbers_that_would_cover_each_other_are_not_written() -> None:
    sizes = [4828, 1207, 536, 301, 193, 134, 98, 75, 59, 48, 39, 33, 28, 24, 21, 18, 16, 14, 13, 12, 10, 9, 8, 7, 6, 5]
    places = [str(size) for size in sorted(sizes)]
    line = {place: Difference(1234.0, None, 1) for place in places}  # so that no size stands at the vertical axis
    drawn = draw_figure([[Panel("title", "label", places, {"x": line})]])
    shown = [int(text) for text in read_texts(drawn) if text in places]
    assert len(shown) > 10 and {5, 4828} <= set(shown)
    assert all(high / low > 1.5 for low, high in pairwise(shown))
    few = ("10", "30", "100", "300", "1000")
    drawn = draw_figure([[Panel("title", "label", few, {"x": {place: Difference(0.1, None, 1) for place in few}})]])
    assert set(few) <= set(read_texts(drawn))


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
