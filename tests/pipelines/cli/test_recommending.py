"""`growset recommend`: steps that fit a budget, the winner's name, and what is said where a race ends."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ops.errors import UserError
from ops.files.manifests import read_manifest
from ops.files.storage import read_json
from ops.recipe.schema import Recipe
from ops.stages.materialization import Runtime
from ops.study.comparing.race import list_rivals, open_race
from ops.verdict.evaluation_count import Looks
from ops.workspaces.workspace import Workspace
from pipelines.cli import prospect
from pipelines.cli.recommending import (
    Estimate,
    create_winner,
    fit_race,
    format_recommendation,
    name_winner,
    recommend_recipe,
    require_free_name,
    share_steps,
    tell_recommendation,
)
from tests.reports import make_interval
from tests.workspaces import ROOT, growset, one_core


class Clockwork:
    """A machine on which a step of the generator takes a second, one of the classifiers two, and a verdict 100."""

    def __init__(self) -> None:
        self.asked: list[int] = []  # the generator's steps of each estimate

    def estimate(self, recipe: Recipe, policy: None) -> tuple[dict[str, float], float]:
        steps = recipe.generator.model_dump()["steps"]
        self.asked.append(steps)
        return {"generator": steps, "baseline_classifiers": 2.0 * recipe.classifier.steps, "verdict": 100.0}, 10.0


def make_estimates(root: Path) -> list[Estimate]:
    """Two recipes that differ in their generator's length: 700 and 1,400 steps, and 800 of the classifiers."""
    (root / "recipes").mkdir()
    text = (ROOT / "recipes" / "fashion-flow.yaml").read_text()
    (root / "recipes" / "short.yaml").write_text(text)
    (root / "recipes" / "long.yaml").write_text(text.replace("  steps: 700 ", "  steps: 1400 "))
    workspace = Workspace(root)
    return [
        Estimate(name, Clockwork(), workspace.recipe_path(name), workspace.load_recipe(name, active=False))
        for name in ("short", "long")
    ]


def test_recipes_take_the_same_share_of_their_steps_and_the_verdict_counts_in_the_whole_run(tmp_path: Path) -> None:
    short, long = make_estimates(tmp_path)
    assert short.count_seconds(1.0, whole=False) == 700 + 1600 + 10 and long.count_seconds(1.0) == 1400 + 1600 + 110
    assert short.count_seconds(1.0) == 700 + 1600 + 110 and short.pace.asked == [700], "a share is estimated once"
    plan = share_steps([short, long], 2 * 2700 / 60, 2)  # 2,700 s for the rung, which takes 5,320 s at full length
    (rung, whole), (other, longer) = plan["short"], plan["long"]
    assert rung["classifier.steps"] == other["classifier.steps"], "so equal baselines stay equal, and are made once"
    assert 2 * rung["generator.steps"] == pytest.approx(other["generator.steps"], abs=20)
    seconds = sum(each.count_seconds(0.5, whole=False) for each in (short, long))
    assert seconds <= 2700 and rung["generator.steps"] >= 350
    assert whole == {} and longer["generator.steps"] < 1400, "the longer recipe is run with fewer steps than its own"


def test_too_few_minutes_are_refused_with_the_number_that_would_do(tmp_path: Path) -> None:
    estimates = make_estimates(tmp_path)
    least = sum(each.count_seconds(0.0, whole=False) for each in estimates)
    assert least > max(each.count_seconds(0.0) for each in estimates)
    needed = math.ceil(2 * least / 60)
    with pytest.raises(
        UserError, match=f"3 minutes are too few for a race of 2 recipes on 2 cores.* --minutes {needed}$"
    ):
        share_steps(estimates, 3, 2)
    assert share_steps(estimates, needed, 2)["short"][0]["classifier.steps"] == 200


@pytest.mark.parametrize("unlabelled", [None, "pool"])
def test_few_labelled_images_are_refused_unless_others_are_expanded(
    fresh_workspace: Path, monkeypatch: pytest.MonkeyPatch, unlabelled: str | None
) -> None:
    workspace = Workspace(fresh_workspace)
    recipe = workspace.load_recipe("digits")
    seen = prospect.look_ahead(workspace, "digits")
    few = replace(seen.counted, images={split: counts * 0 + 3 for split, counts in seen.counted.images.items()})
    recipe = recipe.model_copy(update={"data": recipe.data.model_copy(update={"unlabelled": unlabelled})})
    found = replace(seen, counted=few, recipe=recipe)
    warned = [warning for warning in found.list_warnings() if "asks for --force" in warning]
    assert [warning.startswith("6 training images of 2 classes") for warning in warned] == [True] * (unlabelled is None)
    monkeypatch.setattr(prospect, "look_ahead", lambda *given: found)
    monkeypatch.setattr(prospect, "read_exactly", lambda workspace, found: found)
    monkeypatch.setattr(prospect, "measure_pace", lambda *given: Clockwork())
    opened = open_race(workspace, ["digits"], 600)
    if unlabelled is None:
        with pytest.raises(UserError, match="'digits': 6 training images of 2 classes are too few"):
            fit_race(opened, 600, Runtime())
    else:
        monkeypatch.setattr("pipelines.cli.recommending.share_steps", lambda estimates, *given: estimates[0].name)
        assert fit_race(opened, 600, Runtime()) == "digits"


def test_what_makes_a_race_longer_or_shorter_than_planned_is_told(
    fresh_workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, lines, cores = open_race(Workspace(fresh_workspace), ["digits"], 600), list[str](), list[int]()

    def measure(workspace: Workspace, seen: Any, sink: Any) -> Clockwork:
        cores.append(seen.cores)
        return Clockwork()

    monkeypatch.setattr(prospect, "measure_pace", measure)
    monkeypatch.setattr("ops.planning.floors.find_lack", lambda *given: None)
    monkeypatch.setattr("pipelines.cli.recommending.share_steps", lambda estimates, minutes, cores: {"cores": cores})
    assert fit_race(opened, 600, Runtime(workers=7)) == {"cores": 7} and cores == [7]
    monkeypatch.setattr("ops.planning.work.find_longest", lambda recipe: 4 * recipe.classifier.steps)
    fit_race(opened, 600, Runtime(workers=1, device="cuda", sink=lines.append))
    assert lines == [
        "race: steps are timed on the CPU; on cuda the race takes less than its minutes",
        "race: digits is planned with 20 steps of a classifier, and its search may choose up to 4 times as many"
        " (tuning.most_steps); the race then takes longer",
    ]


def race(gain: float | None, *, expansion: str | None = None, winner: str | None = "flow") -> dict[str, Any]:
    gap = None if gain is None else make_interval(gain)
    last = {"recipe": "flow", "challenger": "grown", "score": 0.81, "over_best": gap, "refusal": None}
    other = {"recipe": "edm", "challenger": None, "score": None, "over_best": None, "refusal": "its images are noise"}
    rung = {"rows": [other, last], "best": "mixup", "best_score": 0.8, "metric": "accuracy"}
    result = {"sentence": "Expansion helps: …", "report": "report.html"} if expansion else None
    return {"recipes": ["flow", "edm"], "minutes": 10, "rungs": [rung], "winner": winner, "expansion": expansion,
            "result": result, "looks": 1 if expansion else None, "seconds": 61.0}  # fmt: skip


def test_a_winner_is_named_with_its_lead_on_validation_and_its_verdict() -> None:
    said = tell_recommendation(race(0.02, expansion="flow-10min"))
    assert said == (
        "flow wins the race of 2 recipes, 2.0 points above mixup, the best arm without generated images (standard error"
        " 0.5, on the validation images that picked both). Run whole as flow-10min and judged on the test images, with"
        " 1 look at them so far, over all recipes: Expansion helps: …"
    )
    again = tell_recommendation(race(0.02, expansion="flow-10min") | {"looks": 2})
    assert "judged on the test images, with 2 looks at them so far, over all recipes:" in again


def test_a_race_that_nobody_wins_says_so_and_asks_about_no_test_image() -> None:
    below = tell_recommendation(race(-0.03))
    assert below.startswith(
        "None of these 2 recipes beats mixup, the best arm without generated images: flow, the last"
    )
    assert "3.0 points below it in its share of 10 minutes" in below and "No network answered a test image" in below
    assert "flow, the last that is left, is no better than it in its share" in tell_recommendation(race(0.0))
    unused = tell_recommendation(race(None, winner=None))
    assert unused.startswith(
        "None of these 2 recipes can be recommended: no arm of the last rung learnt from generated images. mixup,"
    )


def test_the_rungs_are_printed_best_first_with_the_reason_of_those_that_lost_their_generator() -> None:
    found = race(0.02, expansion="flow-10min")
    lines = format_recommendation(found | {"sentence": tell_recommendation(found)})
    assert lines[:2] == ["rung 1 of 1, on validation images", "  recipe  arm    accuracy  over mixup (80.0%)"]
    assert lines[2] == "  flow    grown  81.0%     +2.0 (+1.0 to +3.0)"
    assert lines[3] == "  edm     –      –         its images are noise"
    assert lines[-2:] == ["report: report.html", "61 s"]


def test_the_winner_is_a_recipe_of_its_own_unless_its_steps_fit(fresh_workspace: Path) -> None:
    workspace = Workspace(fresh_workspace)
    assert name_winner("digits", {}, 12) == create_winner(workspace, "digits", {}, 12) == "digits"
    changes: Mapping[str, Any] = {"generator.steps": 30}
    assert create_winner(workspace, "digits", changes, 11.5) == "digits-12min"
    assert workspace.expansions == ["digits", "digits-12min"]
    assert workspace.load_recipe("digits-12min").generator.model_dump()["steps"] == 30
    require_free_name(workspace, "digits", changes, 12)
    assert create_winner(workspace, "digits", changes, 12) == "digits-12min", "a second call finds it"
    with pytest.raises(UserError, match=r"digits-12min.yaml exists already and is another recipe; move it"):
        require_free_name(workspace, "digits", {"generator.steps": 31}, 12)


def test_a_race_of_one_is_refused_before_anything_is_timed(fresh_workspace: Path) -> None:
    result = growset(fresh_workspace, "recommend", "--minutes", "5")
    assert result.exit_code == 2
    assert result.output.startswith("growset: a race needs at least 2 recipes of the same images, and here is digits")
    assert not (fresh_workspace / ".growset" / "races").exists()


def test_the_winner_is_run_whole_once_with_the_steps_that_fit(
    fresh_workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = fresh_workspace / "recipes" / "twin.yaml"
    path.write_bytes((fresh_workspace / "recipes" / "digits.yaml").read_bytes())
    steps = {"generator.steps": 30}
    ended = race(0.02)["rungs"]
    ended[0]["rows"][1]["recipe"] = "twin"
    ran: list[tuple[str, Mapping[str, Any]]] = []

    def run(workspace: Workspace, name: str, runtime: Any, **options: Any) -> tuple[dict[str, Any], None]:
        ran.append((name, options))
        return {"sentence": "Expansion helps: …", "report": "report.html"}, None

    monkeypatch.setattr("pipelines.cli.recommending.fit_race", lambda *given: {"digits": [{}, {}], "twin": [{}, steps]})
    monkeypatch.setattr("ops.study.comparing.race.hold_race", lambda *given: ("twin", ended))
    monkeypatch.setattr("pipelines.cli.commands.run_expansion", run)
    looks = Looks("split", 232, logged=3, elsewhere=0, absent=(), head=None)
    monkeypatch.setattr("ops.verdict.evaluation_count.find_looks", lambda workspace, name: looks)
    result = growset(fresh_workspace, "recommend", "digits", "twin", "--minutes", "9", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert ran == [("twin-9min", {"changes": {}, "force": True, "quiet": True})]
    assert (found["winner"], found["expansion"]) == ("twin", "twin-9min")
    assert found["looks"] == 3
    assert found["sentence"].endswith("with 3 looks at them so far, over all recipes: Expansion helps: …")
    assert "twin-9min" in Workspace(fresh_workspace).expansions


def test_the_same_command_without_names_goes_on_with_the_same_race_after_its_winner_was_copied(
    fresh_workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = fresh_workspace / "recipes" / "twin.yaml"
    path.write_bytes((fresh_workspace / "recipes" / "digits.yaml").read_bytes())
    steps, fitted = {"generator.steps": 30}, []
    ended = race(0.02)["rungs"]
    ended[0]["rows"][1]["recipe"] = "twin"

    def fit(opened: Any, *given: Any) -> dict[str, Any]:
        fitted.append(opened.key)
        return {name: [{}, steps] for name in opened.expansions}

    def stop(*given: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("pipelines.cli.recommending.fit_race", fit)
    monkeypatch.setattr("ops.study.comparing.race.hold_race", lambda *given: ("twin", ended))
    monkeypatch.setattr("pipelines.cli.commands.run_expansion", stop)
    workspace, runtime = Workspace(fresh_workspace), Runtime()
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            recommend_recipe(workspace, [], 9, runtime, quiet=True)
        assert workspace.expansions == ["digits", "twin-9min"]
        assert list_rivals(workspace) == ["digits", "twin"], "the winner's copy has won already, and races no more"
    (key,) = fitted
    assert [folder.name for folder in (fresh_workspace / ".growset" / "races").iterdir()] == [key]


@pytest.mark.slow
def test_a_race_makes_common_stages_once_and_looks_at_test_images_for_the_winner_alone(fresh_workspace: Path) -> None:
    workspace = Workspace(fresh_workspace)
    text = workspace.recipe_path("digits").read_text()
    workspace.recipe_path("twin").write_text(text.replace("real_weight: 4.0", "real_weight: 1.0"))
    command = ("recommend", "digits", "twin", "--minutes", "600", "--workers", "1", "--json")  # their own steps fit
    with one_core():
        result = growset(fresh_workspace, *command)
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    (area,) = (fresh_workspace / ".growset" / "races").iterdir()
    for stage in ("generator", "accepted_images", "baseline_classifiers"):
        contents = {read_manifest(area / "data" / name / stage)["content"] for name in ("digits", "twin")}
        assert len(contents) == 1, stage
    recorded = [read_json(area / ".growset" / "timings" / f"{name}.json") for name in ("digits", "twin")]
    assert "generator" in recorded[0] and "generator" not in recorded[1] and "mixed_dataset" in recorded[1]
    assert not list(area.glob("data/*/verdict"))
    log = fresh_workspace / "evaluations.jsonl"
    looks = log.read_text().splitlines() if log.exists() else []
    assert len(looks) == (found["expansion"] is not None) == (found["looks"] or 0)
    if found["expansion"]:
        assert found["expansion"] == found["winner"] and found["result"]["sentence"] in found["sentence"]
    again = growset(fresh_workspace, *command)
    assert again.exit_code == 0 and json.loads(again.stdout)["rungs"] == found["rungs"]
