"""A chain with arms that leave strength and weights to the controller: raced, settled, trained, judged and told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ops.chain.driver import require_validation
from ops.chain.parts.controlled import ALL_LEFT_OUT, find_all_left_out
from ops.chain.parts.trained import Trained
from ops.chain.publishing import find_refusal
from ops.chain.triggers import gate
from ops.errors import UserError
from ops.files.outputs import REPORT, RESULTS, ROUNDS, VERDICT
from ops.files.storage import read_json, write_json
from ops.recipe.arms import Arm
from ops.recipe.automatic import describe_settled, leave_out_generated, read_settled, settle_arm
from ops.recipe.counterparts import simplify
from ops.recipe.loading import load_recipe
from ops.verdict.records import Budget
from ops.verdict.reference import ReferenceAnswers
from ops.verdict.without_generator import judge_baselines
from ops.workspaces.workspace import Workspace
from tests.priors import change_recipe
from tests.workspaces import growset, make_workspace, one_core

SIMCLR: dict[str, Any] = {"trainer": {"kind": "simclr", "batch_size": 24}, "strength": "auto"}
BASELINES, EXPANDED = "baseline_classifiers", "expanded_classifiers"
WRITTEN = {
    BASELINES: {"real": {}, "simclr": SIMCLR, "gentle": {"strength": "auto"}},
    EXPANDED: {
        "expanded": {},
        "adainf": {**SIMCLR, "real_weight": "auto"},
        "stronger": {"strength": "auto", "real_weight": 5.0},
    },
}


def parse(arms: dict[str, dict[str, Any]]) -> dict[str, Arm]:
    return {name: Arm.model_validate(keys) for name, keys in arms.items()}


def test_few_validation_images_are_refused_before_anything_is_trained() -> None:
    keys = load_recipe(Path(__file__).parents[3] / "recipes" / "smoke.yaml")
    require_validation(keys, 0, Path("mine.yaml"))
    auto = keys.model_copy(update={"baselines": parse(WRITTEN[BASELINES])})
    require_validation(auto, 20, Path("mine.yaml"))
    with pytest.raises(UserError, match="mine.yaml: auto of the arm 'simclr' is chosen on validation images, of which"):
        require_validation(auto, 19, Path("mine.yaml"))
    rehearsal = auto.verdict.model_copy(update={"rehearsal": True})
    require_validation(auto.model_copy(update={"verdict": rehearsal}), 8, Path("mine.yaml"))


def enter(**validation: float) -> Trained:
    """Trained arms with these scores on validation; the controller left out the images of `adainf`."""
    written = {side: parse(arms) for side, arms in WRITTEN.items()}
    alone = leave_out_generated(settle_arm(simplify(written[EXPANDED]["adainf"]), strength=0.5))
    results: dict[str, dict[str, Any]] = {side: {"arms": {}, "aliases": {}} for side in written}
    for name, score in validation.items():
        side = next(side for side, arms in written.items() if name in arms)
        results[side]["arms"][name] = {"validation": score}
    results[EXPANDED]["settled"] = {"adainf": describe_settled(alone)}
    return Trained(results, {side: read_settled(arms, results[side]) for side, arms in written.items()}, written)


def test_an_arm_without_its_images_is_no_arm_with_generated_ones() -> None:
    trained = enter(real=0.6, simclr=0.8, gentle=0.7, adainf=0.8, expanded=0.75, stronger=0.5)
    assert (trained.baseline, trained.challenger) == ("simclr", "expanded")
    assert trained.kinds["adainf"] == "baseline" and trained.kinds["stronger"] == "expanded"
    assert trained.counterparts == [("expanded", "real"), ("stronger", "gentle")]
    assert trained.tell_left_out() == (
        " adainf learnt from no generated image: the controller left them out on validation."
    )


def test_where_no_arm_keeps_its_images_nothing_is_compared() -> None:
    trained = enter(real=0.6, simclr=0.8, adainf=0.8)
    assert trained.challenger is None and trained.baseline == "simclr" and trained.tell_left_out() == ""
    written, results = trained.written[EXPANDED], trained.results[EXPANDED]
    why = find_all_left_out(written, results)
    assert why is not None and why.startswith("the controller left its images out of every arm")
    assert find_all_left_out(written, enter(adainf=0.8, expanded=0.7).results[EXPANDED]) is None
    assert find_all_left_out(written, {"arms": {}}) is None


def test_images_that_are_left_out_of_every_arm_are_published_by_a_run_of_ones_own_alone(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    drawn = workspace.output("digits", "generated_images")
    drawn.mkdir(parents=True)
    write_json(drawn / ROUNDS, {})
    assert find_refusal(workspace, "digits") is None
    verdict = {"decision": "no evidence", "generator_used": False}
    assert gate("not_hurts", verdict) == gate("helps", verdict) == "the generator was not used"


def test_a_verdict_without_an_arm_that_learnt_from_them_says_why_and_picks_no_placebo() -> None:
    answers = {
        name: np.arange(200)[None].repeat(5, 0) % 10 < right for name, right in (("real", 6), ("p", 9), ("a", 8))
    }
    verdict = judge_baselines(
        answers, {"real": 0.6, "p": 0.9, "a": 0.8}, np.arange(200) % 2, ["x", "y"], unused=ALL_LEFT_OUT,
        metric="accuracy", budget=Budget(20, 16), aliases={}, confidence=0.95, validation_per_class={},
        reference=ReferenceAnswers("a linear model", answers["real"][0], 0.6),
        kinds={"real": "baseline", "p": "placebo", "a": "baseline"},
    )  # fmt: skip
    assert verdict.baseline == "a" and verdict.challenger is None and verdict.decision == "no evidence"
    assert [(row.arm, row.kind) for row in verdict.arms] == [("real", "baseline"), ("p", "placebo"), ("a", "baseline")]
    assert verdict.sentence.startswith("The generator was not used: the controller left its images out of every arm, ")


@pytest.mark.slow
def test_a_chain_races_trains_and_judges_what_the_controller_chose(tmp_path: Path) -> None:
    root = make_workspace(tmp_path / "workspace")
    sides = {"baselines": WRITTEN[BASELINES], "expanded": WRITTEN[EXPANDED]}
    change_recipe(root, "digits", **sides)
    checked = growset(root, "check", "digits")
    assert checked.exit_code == 0, checked.output
    with one_core():
        result = growset(root, "run", "digits", "--workers", "1")
    assert result.exit_code == 0, result.output
    data = root / "data" / "digits"
    baselines, expanded = (read_json(data / stage / RESULTS) for stage in WRITTEN)
    assert set(baselines["controller"]) == {"simclr", "gentle"}
    assert set(expanded["controller"]) == {"adainf", "stronger"}
    log = expanded["controller"]["adainf"]
    # Its races on real images alone are those of the baseline, and were kept.
    assert log["contenders"]["real"] == baselines["controller"]["simclr"]["contenders"]["real"]
    assert "2 of the next 2 trainings are kept from earlier ones" in result.output
    assert [len(log["contenders"][side]) for side in ("real", "inflated")] == [2, 2]
    assert log["deciding"]["seeds"] == 3 and log["quality"]["frechet"] > 0 and log["start"]["real_weight"] >= 10
    assert set(expanded["controller"]["stronger"]["contenders"]) == {"inflated"}
    assert f"expanded_classifiers: {log['sentence']}" in result.output
    settled = expanded["settled"]["adainf"]
    assert settled["uses_generated"] == log["deciding"]["uses_generated"]
    won = next(row for row in log["contenders"]["inflated" if settled["uses_generated"] else "real"] if row["won"])
    assert settled["arm"]["strength"] == won["strength"] and settled["arm"]["real_weight"] == won["real_weight"]
    if not settled["uses_generated"]:  # then it is the baseline, network by network
        assert expanded["arms"]["adainf"]["per_seed"] == baselines["arms"]["simclr"]["per_seed"]
    assert expanded["settled"]["stronger"]["arm"]["real_weight"] == 5.0
    verdict = read_json(data / "verdict" / VERDICT)
    assert {row["arm"] for row in verdict["arms"]} == {*sides["baselines"], *sides["expanded"]}
    pairs = {(row["arm"], row["against"]) for row in verdict["shares"]}
    assert ("stronger", "gentle") in pairs and (("adainf", "simclr") in pairs) == settled["uses_generated"]
    assert ("adainf learnt from no generated image" in verdict["sentence"]) != settled["uses_generated"]
    assert log["sentence"].partition(":")[0] in (data / "report" / REPORT).read_text()
    again = growset(root, "run", "digits")
    assert again.exit_code == 0 and "digits: unchanged" in again.output
