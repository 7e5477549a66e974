"""What the page says of arms that choose by races, and of scores without labels, on tables made by hand."""

from __future__ import annotations

from collections import Counter
from typing import Any

import polars as pl
import pytest

from ops.recipe.arms import Arm
from ops.study.classifier_page import list_rivals, render
from ops.study.controller_page import find_picked, find_regret, list_fixed
from ops.study.design import ClassifierPart
from ops.study.score_page import correlate
from ops.study.summary import average_networks
from tests.ops.study.test_page import Scores, build_part, read_tables, table

SIMCLR: dict[str, Any] = {"trainer": "simclr"}
ARMS: dict[str, dict[str, Any]] = {
    "baselines": {
        "plain": {},
        "strong": SIMCLR,
        "weak": {**SIMCLR, "strength": 0.5},
        "auto": {**SIMCLR, "strength": "auto"},
    },
    "expanded": {
        "grown": {**SIMCLR, "real_weight": 1.0},
        "grown-auto": {**SIMCLR, "strength": "auto", "real_weight": "auto"},
    },
}
KEY = ("10", 400)
ACCURACY: Scores = {
    "plain": [0.9, 0.9],
    "strong": [0.60, 0.62],
    "weak": [0.66, 0.60],
    "grown": [0.64, 0.64],
    "auto": [0.65, 0.61],
    "grown-auto": [0.63, 0.61],
}
VALIDATION: Scores = {"plain": [1.0, 1.0], "strong": [0.7, 0.5], "weak": [0.6, 0.6], "grown": [0.6, 0.8]}
CHOICES: dict[str, Scores] = {
    "chosen_strength": {"auto": [0.5, 1.0], "grown-auto": [0.5, 0.25]},
    "chosen_real_weight": {"auto": [None, None], "grown-auto": [None, 31.6]},
    "uses_generated": {"auto": [None, None], "grown-auto": [0.0, 1.0]},
    "race_steps": {"auto": [0.17, 0.17], "grown-auto": [0.43, 0.43]},
}


@pytest.fixture
def part() -> ClassifierPart:
    return build_part(**ARMS, ensembles={})


def build_table() -> pl.DataFrame:
    parts = [table({KEY: ACCURACY}), table({KEY: VALIDATION}, "validation")]
    return pl.concat([*parts, *(table({KEY: scores}, name) for name, scores in CHOICES.items())])


def read_arms() -> tuple[dict[str, Arm], ...]:
    return tuple({name: Arm.model_validate(keys) for name, keys in arms.items()} for arms in ARMS.values())


def test_an_arm_is_compared_with_fixed_ones_that_equal_it_but_for_what_is_auto() -> None:
    baselines, expanded = read_arms()
    assert list_fixed("auto", baselines, expanded) == ["strong", "weak"]
    assert list_fixed("grown-auto", baselines, expanded) == ["strong", "weak", "grown"]
    half = {**SIMCLR, "strength": 0.5}
    others = {
        "placebo": {**half, "real_weight": 1.0, "placebo": "augmented"},
        "views": {**SIMCLR, "augmentation": {"kind": "views", "crop": 0.3}, "real_weight": 1.0},
        "moco": {"trainer": "moco", "real_weight": 1.0},
        "few": {**half, "real_weight": 1.0, "ratio": 0.5},
        "heavy": {**half, "real_weight": 30.0},
        "mixed": half,
        "strength-auto": {**SIMCLR, "strength": "auto", "real_weight": 1.0},
        "weight-auto": {**half, "real_weight": "auto"},
    }
    expanded |= {name: Arm.model_validate(keys) for name, keys in others.items()}
    assert list_fixed("grown-auto", baselines, expanded) == ["strong", "weak", "grown", "heavy", "mixed"]
    assert list_fixed("strength-auto", baselines, expanded) == ["grown"], "it must use them, at its own weight"
    assert list_fixed("weight-auto", baselines, expanded) == ["strong", "weak", "heavy", "mixed"]


def test_regret_is_to_the_best_mean_and_to_what_each_seeds_validation_would_have_chosen() -> None:
    found = build_table()
    values, judged = (average_networks(found, name) for name in ("accuracy", "validation"))
    fixed = ["strong", "weak", "grown"]
    gap, best = find_regret(values, KEY, "grown-auto", fixed, lowest=False)
    assert best == "grown" and gap is not None and gap.mean == pytest.approx((0.63 + 0.61) / 2 - 0.64)
    _, worst = find_regret(values, KEY, "grown-auto", fixed, lowest=True)
    assert worst == "strong"
    gap, picked = find_picked(values, judged, KEY, "grown-auto", fixed)  # strong at the first seed, grown at the second
    assert picked == Counter({"strong": 1, "grown": 1})
    assert gap is not None and gap.mean == pytest.approx(((0.63 - 0.60) + (0.61 - 0.64)) / 2) and gap.seeds == 2
    _, tied = find_picked(values, judged, KEY, "auto", ["grown", "weak"])
    assert tied == Counter({"grown": 2}), "of equal ones the first"
    early = judged.filter((pl.col("arm") != "strong") | (pl.col("seed") != 0))
    gap, picked = find_picked(values, early, KEY, "grown-auto", fixed)
    assert picked == Counter({"grown": 1}) and gap is not None and gap.seeds == 1, "it may have been the best one"


def test_the_page_tells_the_choices_their_cost_and_the_regret(part: ClassifierPart) -> None:
    lines = render(part, build_table())
    chosen, regret = (each for each in read_tables(lines) if each[0][2] == "arm")
    assert chosen[1:] == [
        ["10", "400", "auto", "0.5, 1", "–, –", "–", "17 %"],
        ["10", "400", "grown-auto", "0.5, 0.25", "–, 31.6", "1 of 2", "43 %"],
    ]
    assert [row[3].partition(" ±")[0] for row in regret[1:]] == ["+0.0", "-2.0"]
    assert [row[3].partition(": ")[2] for row in regret[1:]] == ["weak", "grown"]
    assert regret[2][4].endswith(": strong, grown")
    assert any("The cap of 30 % is over both arms together" in line for line in lines), "17 % and 43 %"


def test_a_seed_without_a_generator_is_not_told_as_one_that_used_it(part: ClassifierPart) -> None:
    refused = {name: dict(scores) for name, scores in CHOICES.items()}
    for name, kept in (("chosen_real_weight", None), ("uses_generated", 0.0), ("race_steps", 0.43)):
        refused[name]["grown-auto"] = [kept, None]
    found = pl.concat([table({KEY: ACCURACY}), *(table({KEY: scores}, name) for name, scores in refused.items())])

    def tell(part: ClassifierPart) -> str:
        (chosen,) = (each for each in read_tables(render(part, found)) if each[0][-1] == "races")
        return chosen[2][5]

    assert tell(part) == "0 of 1"
    expanded = {**ARMS["expanded"], "grown-auto": {**SIMCLR, "strength": "auto", "real_weight": 3.0}}
    assert tell(build_part(**{**ARMS, "expanded": expanded}, ensembles={})) == "all", "it has no choice"


def test_a_setting_tells_no_choice_of_an_arm_that_it_leaves_out() -> None:
    part = build_part(**ARMS, ensembles={}, leave_out={"10": ["grown-auto"]})
    tables = read_tables(render(part, build_table().filter(pl.col("arm") != "grown-auto")))
    chosen, regret = (each for each in tables if each[0][2] == "arm")
    assert [[row[2] for row in found[1:]] for found in (chosen, regret)] == [["auto"], ["auto"]]


def test_arms_that_choose_by_races_are_not_among_the_best_fixed_ones(part: ClassifierPart) -> None:
    assert list_rivals(part, ["plain", "auto", "grown-auto", "grown"]) == ["plain", "grown"]
    better = {**ACCURACY, "grown-auto": [0.99, 0.99]}
    differences = read_tables(render(part, table({KEY: better})))[1]
    assert [cell.partition(": ")[2] for cell in differences[1][2:4]] == ["grown − weak", "grown − plain"]


def test_ranks_are_correlated_seed_by_seed_over_the_arms_that_have_a_score() -> None:
    arms = "abcd"
    scores = table(
        {KEY: {arm: [value, -value] for value, arm in enumerate(arms)} | {"plain": [None, None]}}, "alignment"
    )
    values = table({KEY: {arm: [value**3, value**3] for value, arm in enumerate(arms)} | {"plain": [9.0, 9.0]}})
    averaged = average_networks(scores, "alignment"), average_networks(values, "accuracy")
    found = correlate(*averaged)[KEY]
    assert (found.mean, found.seeds) == (pytest.approx(0), 2), "1 at a seed and -1 at the other"
    few = averaged[0].filter(pl.col("arm") != "a")
    assert correlate(few, averaged[1]) == {}, "three arms have no rank correlation to speak of"
    part = build_part(
        baselines={"strong": SIMCLR}, expanded={}, measures=["accuracy", "alignment", "uniformity"], ensembles={}
    )
    both = pl.concat([scores, values, table({KEY: {arm: [1.0, 1.0] for arm in arms}}, "uniformity")])
    (shown,) = [each for each in read_tables(render(part, both)) if "alignment + uniformity" in each[0]]
    assert shown[0] == ["setting", "steps", "alignment", "uniformity", "alignment + uniformity"]
    assert shown[1] == ["10", "400", "+0.00 ± 12.71", "–", "+0.00 ± 12.71"]


def test_an_arm_that_says_auto_is_not_ranked_because_its_network_may_be_that_of_another_arm() -> None:
    arms = {name: [value, value] for value, name in enumerate("abcd")} | {"auto": [99.0, 99.0]}
    found = pl.concat([table({KEY: arms}, "alignment"), table({KEY: {**arms, "auto": [-1.0, -1.0]}})])
    baselines = {name: SIMCLR for name in "abcd"} | {"auto": {**SIMCLR, "strength": "auto"}}
    part = build_part(baselines=baselines, expanded={}, measures=["accuracy", "alignment"], ensembles={})
    assert read_tables(render(part, found))[-1] == [["setting", "steps", "alignment"], ["10", "400", "+1.00 ± 0.00"]]
    assert "the fixed arms that learn without labels" in "".join(render(part, found))
