"""A finished chain whose recipe asks what gains are worth: one more stage, the report, and no look at test images."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ops.chain import label_curve
from ops.chain.parts.classifiers import BASELINES
from ops.classifiers.runs import Contest, train_runs
from ops.files.outputs import LABEL_CURVE, REPORT, RESULTS, WORTH
from ops.files.storage import read_json, write_json
from ops.recipe.arms import Arm
from ops.recipe.automatic import describe_settled, settle_arm
from ops.recipe.stages import STAGES
from ops.recipe.worth import WorthSettings
from ops.stages.materialization import Runtime, StageRun, find_staleness
from ops.verdict.worth.curve import LabelCurve
from ops.workspaces.workspace import Workspace
from tests.chains import run_stages
from tests.workspaces import one_core


def test_worth_adds_a_stage_and_leaves_the_rest_current(
    finished_workspace: Path, edit_recipe: Callable[[Path, str, str], None]
) -> None:
    workspace = Workspace(finished_workspace)
    assert read_json(workspace.output("digits", "label_curve") / LABEL_CURVE) == {}
    looks = workspace.evaluations.read_bytes()
    asked = "worth: {shares: [0.25, 0.5], seeds: 2}, prices: {hour: 1 EUR}"
    edit_recipe(finished_workspace, "examples_per_class: 2", f"examples_per_class: 2, {asked}")
    page = (workspace.output("digits", "report") / REPORT).read_text(encoding="utf-8")
    assert "What would help most here" in page and "report.worth: {}" in page and "What gains are worth" not in page
    recipe = workspace.load_recipe("digits")
    stale = [s for s in STAGES if s != "real_images" and find_staleness(workspace, "digits", s, recipe)]
    assert stale == ["label_curve", "report"]
    run_stages(workspace, "label_curve", "report")
    curve = LabelCurve.from_dict(read_json(workspace.output("digits", "label_curve") / LABEL_CURVE))
    assert [(point.share, point.images) for point in curve.points] == [(0.25, 8), (0.5, 16), (1.0, 32)]
    assert [len(point.per_seed) for point in curve.points] == [2, 2, 2]
    entry = read_json(workspace.output("digits", "baseline_classifiers") / RESULTS)["arms"][curve.arm]
    assert curve.points[-1].per_seed == entry["per_seed"], "all labels: the stored networks, on the same images"
    assert workspace.evaluations.read_bytes() == looks
    report = workspace.output("digits", "report")
    worth = read_json(report / WORTH)
    assert worth["enough"] and worth["rows"]
    assert "This machine's time to make the images cost" in worth["sentences"][1] and "EUR" in worth["sentences"][1]
    states = {row["name"]: row["state"] for row in worth["steps"]["rows"]}
    assert (states["generated images"], states["half as many labels again"]) == ("open", "extrapolated")
    assert states["a prior"] == states["longer training"] == states["mixing images"] == "not measured"
    assert "What gains are worth in real labels" in (report / REPORT).read_text(encoding="utf-8")


def test_an_arm_of_the_controller_learns_from_fewer_labels_as_it_was_settled(
    finished_workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, stored = Workspace(finished_workspace), tmp_path / "stored"
    shutil.copytree(workspace.output("digits", BASELINES), stored)
    written = Arm.model_validate({"strength": "auto"})
    settled = settle_arm(written, strength=0.5)
    results = read_json(stored / RESULTS)
    results["arms"]["gentle"] = results["arms"]["real"] | {"validation": 1.0}
    write_json(stored / RESULTS, results | {"settled": {"gentle": describe_settled(settled)}})
    shutil.copy(stored / "real.safetensors", stored / "gentle.safetensors")
    recipe = workspace.load_recipe("digits")
    worth = WorthSettings.model_validate({"shares": [0.25, 0.5], "seeds": 2})
    recipe = recipe.model_copy(
        update={
            "baselines": recipe.baselines | {"gentle": written},
            "report": recipe.report.model_copy(update={"worth": worth}),
        }
    )
    met: list[Contest] = []

    def train(contest: Contest, *given: Any) -> Any:
        met.append(contest)
        return train_runs(replace(contest, kept=None), *given)

    monkeypatch.setattr(label_curve, "train_runs", train)
    inputs = {"real_images": workspace.output("digits", "real_images"), BASELINES: stored}
    (out := tmp_path / "out").mkdir()
    run = StageRun(
        workspace, "digits", "label_curve", recipe, inputs, out, tmp_path / "scratch", "f" * 64, Runtime(workers=1)
    )
    with one_core():
        assert label_curve.build_label_curve(run)["arm"] == "gentle"
    assert [dict(contest.arms) for contest in met] == [{"gentle": settled}] * 2
