"""A finished chain whose recipe asks what gains are worth: one more stage, the report, and no look at test images."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ops.chain import label_curve
from ops.chain.parts.classifiers import BASELINES
from ops.chain.publishing import build_dataset, identify_publication
from ops.chain.report import build_report
from ops.classifiers.runs import Contest, train_runs
from ops.datasets import pixels
from ops.datasets.pixels import PixelDataset, read_shards
from ops.files.outputs import CARD, LABEL_CURVE, REPORT, RESULTS, WORTH
from ops.files.storage import read_json, write_json
from ops.recipe.arms import Arm
from ops.recipe.automatic import describe_settled, settle_arm
from ops.recipe.fingerprints import list_inputs
from ops.recipe.stages import STAGES
from ops.recipe.worth import WorthSettings
from ops.stages.materialization import Runtime, StageRun, find_staleness
from ops.verdict.worth.curve import LabelCurve
from ops.workspaces.workspace import Workspace
from tests.chains import run_stages
from tests.workspaces import one_core


def test_worth_adds_a_stage_and_leaves_the_rest_current(
    finished_workspace: Path, tmp_path: Path, edit_recipe: Callable[[Path, str, str], None]
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
    assert worth["spent"].startswith("This machine's time to make the images cost") and "EUR" in worth["spent"]
    states = {row["name"]: row["state"] for row in worth["steps"]["rows"]}
    assert (states["generated images"], states["half as many labels again"]) == ("open", "extrapolated")
    assert states["a prior"] == states["longer training"] == states["mixing images"] == "not measured"
    page = (report / REPORT).read_text(encoding="utf-8")
    assert "What gains are worth in real labels" in page and "time to make the images cost" in page
    assert_the_same_is_published_whatever_the_time(workspace, tmp_path)


def assert_the_same_is_published_whatever_the_time(workspace: Workspace, folder: Path) -> None:
    """The published dataset says what gains are worth, and its identity has nothing of how long a stage took."""
    recipe = workspace.load_recipe("digits")
    before = identify_publication(workspace, "digits", recipe)
    told = read_json(workspace.output("digits", "report") / WORTH)
    timings = workspace.timings("digits")
    write_json(timings, {stage: 1000.0 + seconds for stage, seconds in read_json(timings).items()})
    later = folder / "later"
    later.mkdir()
    inputs = {stage: workspace.output("digits", stage) for stage in list_inputs(recipe, "report")}
    build_report(StageRun(workspace, "digits", "report", recipe, inputs, later, folder, "f" * 64, Runtime(workers=1)))
    slower = read_json(later / WORTH)
    assert slower["spent"] != told["spent"] and slower["steps"] != told["steps"]
    write_json(workspace.output("digits", "report") / WORTH, slower)
    assert identify_publication(workspace, "digits", recipe) == before
    build_dataset(workspace, "digits", recipe, folder / "published")
    kept = read_json(folder / "published" / WORTH)
    assert kept == {key: value for key, value in told.items() if key not in ("spent", "steps")} and kept["sentences"]
    assert "EUR" not in (folder / "published" / CARD).read_text(encoding="utf-8")
    write_json(workspace.output("digits", "report") / WORTH, slower | {"rows": []})
    assert identify_publication(workspace, "digits", recipe) != before


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
    decoded: list[str] = []

    def read(paths: Sequence[Path]) -> PixelDataset:
        decoded.extend(path.name.partition("-")[0] for path in paths)
        return read_shards(paths)

    monkeypatch.setattr(pixels, "read_shards", read)
    inputs = {"real_images": workspace.output("digits", "real_images"), BASELINES: stored}
    (out := tmp_path / "out").mkdir()
    run = StageRun(
        workspace, "digits", "label_curve", recipe, inputs, out, tmp_path / "scratch", "f" * 64, Runtime(workers=1)
    )
    with one_core():
        assert label_curve.build_label_curve(run)["arm"] == "gentle"
    assert [dict(contest.arms) for contest in met] == [{"gentle": settled}] * 2
    assert sorted(decoded) == ["train", "validation"], "no image is decoded twice"
