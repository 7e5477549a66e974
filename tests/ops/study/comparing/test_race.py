"""A race of recipes: who goes on, what is kept of a race that is stopped, what a rung's scores are, what is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ops.chain.parts.classifiers import BASELINES, EXPANDED
from ops.chain.parts.trained import join_sides
from ops.datasets.pixels import read_split
from ops.errors import EnvironmentFault, UserError
from ops.files.manifests import MANIFEST, join_hashes, seal
from ops.files.outputs import RESULTS
from ops.files.storage import read_json, write_json
from ops.recipe.arms import Arm
from ops.recipe.automatic import describe_settled, leave_out_generated
from ops.recipe.ingredients.guidance import MixedPlacebo
from ops.stages.materialization import Runtime
from ops.study.comparing import race as racing
from ops.study.comparing import rungs
from ops.study.comparing.halving import find_share, keep_best, run_rungs, share_time, size_rungs
from ops.study.comparing.pooling import Entrant
from ops.study.comparing.race import hold_race, list_rivals, open_race, require_race, settle_plan
from ops.study.comparing.rungs import TRAINED, Row, Rung, run_rung
from ops.workspaces.races import RaceWorkspace
from ops.workspaces.workspace import Workspace
from tests.compared import answer, enter, leave_outputs, make_compared

HELD = 64  # validation images


@pytest.mark.parametrize("count", [2, 3, 4, 5, 15, 16])
def test_the_rungs_share_half_of_the_time_equally(count: int) -> None:
    sizes, (*rungs, last) = size_rungs(count), share_time(1000.0, count)
    assert sizes[0] == count and sizes[-1] == 2 and len(rungs) == len(sizes)
    assert sum(rungs) == pytest.approx(500.0) == last and len(set(rungs)) == 1


def test_the_share_of_the_steps_is_the_largest_that_fits() -> None:
    def count(share: float) -> float:
        return 10 + max(20.0, 100 * share)  # below a fifth the fewest steps hold

    assert [find_share(count, seconds) for seconds in (110.0, 29.0)] == [1.0, None]
    assert find_share(count, 60.0) == pytest.approx(0.5, abs=1e-3)
    assert count(find_share(count, 60.0) or 1.0) <= 60.0


def test_the_best_recipe_wins_and_the_worse_half_trains_no_longer() -> None:
    truth = {"a": 0.5, "b": 0.9, "c": None, "d": 0.7, "e": 0.6}
    seen: list[list[str]] = []

    def run(number: int, left: Sequence[str]) -> Mapping[str, float | None]:
        assert number == len(seen)
        seen.append(list(left))
        return {name: truth[name] for name in left}

    assert run_rungs(list(truth), run) == "b"
    assert seen == [["a", "b", "c", "d", "e"], ["b", "d", "e"], ["b", "d"]]


def test_a_tie_goes_to_the_earlier_and_no_score_is_the_worst() -> None:
    assert keep_best({"a": None, "b": 0.1, "c": 0.2, "d": 0.2}, 3) == ["c", "d", "b"]
    assert run_rungs(["a", "b"], lambda number, left: dict.fromkeys(left)) is None


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """Recipes of the same images, and others: to be read only."""
    found = make_compared(tmp_path_factory.mktemp("race"), "one", "two", "fewer", "folded", "worst", "drawn")
    for name, old, new in (
        ("fewer", "images_per_class: 16", "images_per_class: 12"),
        ("folded", "data: {images_per_class: 16}", "data: {}"),
        ("folded", "verdict: {}", "verdict: {folds: 5}"),
        ("drawn", "seed: 0", "seed: 1"),
        ("worst", "verdict: {}", "verdict: {metric: worst_class}"),
    ):
        path = found.recipe_path(name)
        path.write_text(path.read_text().replace(old, new))
    return found


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["one"], "a race needs at least 2 recipes of the same images, and here is one alone"),
        ([], "a race needs at least 2 recipes of the same images, and here is none"),
        (["one", "one"], "'one' is named twice"),
        (["one", "fewer"], "'fewer' has other images than 'one' .data.images_per_class 12 instead of 16"),
        (["one", "worst"], "verdict.metric differs .'one' null, 'worst' worst_class"),
        (["folded", "one"], "'folded' has verdict.folds"),
        (["one", "two", "drawn"], "'drawn' has other images than 'one' .seed 1 draws others than 0.; recipes are"),
    ],
)
def test_what_cannot_race_is_refused_in_a_sentence(workspace: Workspace, names: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        require_race(workspace, names)


def test_all_recipes_of_the_active_images_race_unless_these_differ(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the active expansions read different images; name the recipes"):
        list_rivals(workspace)
    other = make_compared(tmp_path / "other", "one", "two", "three")
    assert list_rivals(other) == ["one", "three", "two"]


def test_a_race_has_an_area_of_its_own_for_these_files_and_minutes(tmp_path: Path) -> None:
    workspace = make_compared(tmp_path / "workspace", "one", "two")
    keys = [open_race(workspace, names, minutes).key for names, minutes in ((["one", "two"], 5), (["one", "two"], 6))]
    path = workspace.recipe_path("two")
    whole = path.read_text()
    path.write_text(whole.replace("steps: 60", "steps: 61"))
    keys.append(open_race(workspace, ["one", "two"], 5).key)
    path.write_text(whole)
    assert len(set(keys)) == 3 and open_race(workspace, ["one", "two"], 5).key == keys[0]


def test_a_rung_sees_the_recipes_that_are_left_with_its_steps(workspace: Workspace) -> None:
    race = RaceWorkspace(workspace.root, key="k", fitted={"one": {"generator.steps": 30}, "two": {}})
    assert race.expansions == ["one", "two"]
    assert [race.load_recipe(name).generator.model_dump()["steps"] for name in ("one", "two")] == [30, 60]
    assert race.output("one", "scorer") == workspace.root / ".growset" / "races" / "k" / "data" / "one" / "scorer"
    assert race.trainings == workspace.trainings and "verdict" not in TRAINED and TRAINED[-1] == "expanded_classifiers"


def test_a_race_that_was_stopped_goes_on_with_the_missing_rungs(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    race = RaceWorkspace(workspace.root, key="stopped", fitted={"one": {}, "two": {}, "worst": {}})
    plan = settle_plan(race, lambda: {name: [{"generator.steps": n} for n in (10, 20, 40)] for name in race.expansions})
    assert settle_plan(race, lambda: pytest.fail("the plan is kept")) == plan
    ran: list[dict[str, Any]] = []
    broken = True

    def run(area: RaceWorkspace, left: Sequence[str], runtime: Runtime) -> Rung:
        ran.append({name: area.fitted[name]["generator.steps"] for name in left})
        if broken and len(left) == 2:
            raise KeyboardInterrupt
        return Rung([Row(name, "grown", len(name) / 10, None, None) for name in left], "real", 0.2, "accuracy")

    monkeypatch.setattr(racing, "run_rung", run)
    with pytest.raises(KeyboardInterrupt):
        hold_race(race, plan, Runtime(), lambda: race.key)
    broken = False
    winner, found = hold_race(race, plan, Runtime(), lambda: race.key)
    assert ran == [{"one": 10, "two": 10, "worst": 10}, {"worst": 20, "one": 20}, {"worst": 20, "one": 20}]
    assert winner == "worst" and [len(rung["rows"]) for rung in found] == [3, 2]
    assert hold_race(race, plan, Runtime(), lambda: race.key) == (winner, found) and len(ran) == 3


@pytest.mark.parametrize("changed", [1, 2])
def test_a_rung_beside_which_a_file_changed_is_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: int
) -> None:
    workspace = make_compared(tmp_path / "workspace", "one", "two", "three", "four")
    names = ["one", "two", "three", "four"]
    race = open_race(workspace, names, 5)
    plan = settle_plan(race, lambda: {name: [{}, {}, {}] for name in names})
    path, ran = workspace.recipe_path("two"), 0

    def run(area: RaceWorkspace, left: Sequence[str], runtime: Runtime) -> Rung:
        nonlocal ran
        ran += 1
        if ran == changed:
            path.write_text(path.read_text().replace("steps: 60", "steps: 61"))
        return Rung([Row(name, "grown", len(name) / 10, None, None) for name in left], "real", 0.2, "accuracy")

    monkeypatch.setattr(racing, "run_rung", run)
    for _ in range(2):  # neither after the rung nor before the next one, in a process of its own
        with pytest.raises(EnvironmentFault, match="a recipe or an image of the race changed while it ran"):
            hold_race(race, plan, Runtime(), lambda: open_race(workspace, names, 5).key)
    assert ran == changed
    kept = race.area / "rungs.json"
    assert (len(read_json(kept)) if kept.exists() else 0) == changed - 1


def test_a_rung_scores_the_best_arm_of_each_over_the_best_of_all_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = make_compared(tmp_path / "workspace", "one", "two")
    race = RaceWorkspace(workspace.root, key="k", fitted={"one": {}, "two": {}})
    test = {"real": answer(0.6, 0, 232)}
    for name in race.expansions:
        leave_outputs(race, name, enter(name, test, {"grown": answer(0.6, 1, 232)}), {})
        results = race.output(name, BASELINES) / RESULTS
        write_json(results, read_json(results) | {"metric": "accuracy"})
    assert len(read_split(race.output("one", "real_images"), "validation").labels) == HELD
    grown, mixup = answer(0.9, 2, HELD), answer(0.8, 3, HELD)
    placed = enter("one", {"real": answer(0.5, 4, HELD)}, {"grown": grown, "other": answer(0.4, 5, HELD)})
    arms: dict[str, Entrant] = {"one": placed, "two": enter("two", {"mixup": mixup}, {})}
    monkeypatch.setattr(rungs, "train_recipe", lambda area, name, runtime: "noise" if name == "two" else None)
    monkeypatch.setattr(rungs, "read_entrant", lambda area, name, refusal, runtime: arms[name])
    manifest = race.output("two", "real_images") / MANIFEST
    whole = read_json(manifest)
    files = {name: entry | {"sha256": "0" * 64} for name, entry in whole["files"].items()}
    write_json(manifest, seal(whole | {"files": files, "content": join_hashes(files)}))
    with pytest.raises(UserError, match="'two' has other images than 'one' .its seed draws others"):
        run_rung(race, ["one", "two"], Runtime())
    write_json(manifest, whole)
    found = run_rung(race, ["one", "two"], Runtime())
    one, two = found.rows
    assert (found.best, found.best_score) == ("mixup", mixup.mean())
    assert (one.score, two.score) == (grown.mean(), None)
    assert one.over_best is not None and one.over_best.estimate == pytest.approx(grown.mean() - mixup.mean())
    gaps = (grown.mean(0) - mixup.mean(0)).var(ddof=1) / HELD
    assert one.over_best.standard_error >= np.sqrt(gaps) * 0.99
    assert (one.challenger, two.challenger, two.over_best, two.refusal) == ("grown", None, None, "noise")
    Rung(found.rows, found.best, found.best_score, found.metric).to_dict()
    arms["one"] = replace(placed, kinds=dict.fromkeys(placed.kinds, "baseline"))
    monkeypatch.setattr(rungs, "train_recipe", lambda area, name, runtime: f"noise in {name}")
    rows = run_rung(race, ["one", "two"], Runtime()).rows
    assert [(row.score, row.refusal) for row in rows] == [(None, "noise in one"), (None, "noise in two")]


def test_an_arm_whose_generated_images_the_controller_left_out_is_a_baseline_in_a_race(workspace: Workspace) -> None:
    recipe = workspace.load_recipe("one")
    arm = recipe.expanded["expanded"]
    noise = Arm(placebo=MixedPlacebo(kind="mixed"))
    recipe = recipe.model_copy(update={"expanded": {"expanded": arm, "other": arm, "noise": noise}})
    arms: dict[str, Any] = {name: {} for name in recipe.expanded}
    settled = {"expanded": describe_settled(leave_out_generated(arm)), "other": describe_settled(arm)}
    results = {
        BASELINES: {"arms": {"real": {"validation_per_class": [0.5, None]}}},
        EXPANDED: {"arms": arms, "settled": settled},
    }
    assert join_sides(recipe, results).kinds == {
        "real": "baseline",
        "expanded": "baseline",
        "other": "expanded",
        "noise": "placebo",
    }
    refused = join_sides(recipe, {BASELINES: results[BASELINES]})
    assert refused.kinds == {"real": "baseline"} and list(refused.rates) == ["real"]
    np.testing.assert_array_equal(refused.rates["real"], [0.5, np.nan])
