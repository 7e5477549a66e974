"""A chain with arms that leave strength and weights to the controller: raced, settled, trained, judged and told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ops.chain.driver import require_validation
from ops.chain.parts.trained import Trained
from ops.errors import UserError
from ops.files.outputs import REPORT, RESULTS, VERDICT
from ops.files.storage import read_json
from ops.recipe.arms import Arm
from ops.recipe.automatic import describe_settled, leave_out_generated, read_settled, settle_arm
from ops.recipe.counterparts import simplify
from ops.recipe.loading import load_recipe
from tests.priors import change_recipe
from tests.workspaces import growset, make_workspace, one_core

SIMCLR: dict[str, Any] = {"trainer": {"kind": "simclr", "batch_size": 24}, "strength": "auto"}
WRITTEN = {
    "baseline_classifiers": {"real": {}, "simclr": SIMCLR, "gentle": {"strength": "auto"}},
    "expanded_classifiers": {
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
    auto = keys.model_copy(update={"baselines": parse(WRITTEN["baseline_classifiers"])})
    require_validation(auto, 20, Path("mine.yaml"))
    with pytest.raises(UserError, match="mine.yaml: auto of the arm 'simclr' is chosen on validation images, of which"):
        require_validation(auto, 19, Path("mine.yaml"))
    rehearsal = auto.verdict.model_copy(update={"rehearsal": True})
    require_validation(auto.model_copy(update={"verdict": rehearsal}), 8, Path("mine.yaml"))


def test_an_arm_that_left_out_its_images_is_said_to_have_learnt_from_none() -> None:
    written = {side: parse(arms) for side, arms in WRITTEN.items()}
    alone = leave_out_generated(settle_arm(simplify(written["expanded_classifiers"]["adainf"]), strength=0.5))
    entries = {"adainf": {"validation": 0.8}, "expanded": {"validation": 0.7}}
    results = {
        "baseline_classifiers": {"arms": {}, "aliases": {}},
        "expanded_classifiers": {"arms": entries, "aliases": {}, "settled": {"adainf": describe_settled(alone)}},
    }
    arms = {side: read_settled(each, results[side]) for side, each in written.items()}
    assert Trained(results, arms, written).tell_left_out() == (
        " adainf learnt from no generated image: the controller left them out on validation."
    )
    entries["expanded"]["validation"] = 0.9
    assert Trained(results, arms, written).tell_left_out() == ""


@pytest.mark.slow
def test_a_chain_races_trains_and_judges_what_the_controller_chose(tmp_path: Path) -> None:
    root = make_workspace(tmp_path / "workspace")
    sides = {"baselines": WRITTEN["baseline_classifiers"], "expanded": WRITTEN["expanded_classifiers"]}
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
    assert {("adainf", "simclr"), ("stronger", "gentle")} <= pairs
    assert log["sentence"].partition(":")[0] in (data / "report" / REPORT).read_text()
    again = growset(root, "run", "digits")
    assert again.exit_code == 0 and "digits: unchanged" in again.output
