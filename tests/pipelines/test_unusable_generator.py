"""A generator that has not learnt: nothing is drawn or published, the baselines are judged, and the report says why."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ops.chain import generator_onnx
from ops.chain.driver import Chain
from ops.chain.generated_images import plan_slices
from ops.chain.publishing import publish
from ops.errors import GeneratorNotUsed
from ops.files.manifests import read_manifest
from ops.files.storage import read_json, write_bytes, write_json
from ops.history.dvc_repository import changed_stages, stage_addresses
from ops.recipe.stages import STAGES
from ops.stages.materialization import Runtime, StageRun
from ops.stages.several import place
from ops.verification.verification import verify
from ops.workspaces.workspace import Workspace
from tests.reports import make_usability
from tests.workspaces import growset, one_core, run

Edit = Callable[[Path, str, str], None]
AFTER = ("generated_images", "accepted_images", "mixed_dataset", "expanded_classifiers", "verdict", "report")


def require_unused(workspace: Workspace, generators: int = 1) -> None:
    """All stages are current, and say that nothing was generated."""
    assert changed_stages(workspace.root, stage_addresses("digits")) == {}
    folder = {stage: workspace.output("digits", stage) for stage in STAGES}
    for number in range(generators):
        names = {path.name for path in place(folder["generated_images"], number).iterdir()}
        assert names - {"manifest.json", "generators"} == {"rounds.json"}
        mixed = pl.read_parquet(place(folder["mixed_dataset"], number) / "index.parquet")
        assert (len(mixed), int(mixed["is_generated"].sum())) == (32, 0)
    assert read_manifest(folder["accepted_images"])["metrics"]["shortfall"] == 32 * generators
    assert read_json(folder["expanded_classifiers"] / "results.json")["arms"] == {}
    verdict = read_json(folder["verdict"] / "verdict.json")
    assert (verdict["decision"], verdict["generator_used"], verdict["contrasts"]) == ("no evidence", False, [])
    assert verdict["sentence"].startswith("The generator was not used: ")
    assert [row["arm"] for row in verdict["arms"]] == ["real", "oversampled"]
    page = (folder["report"] / "report.html").read_text(encoding="utf-8")
    assert "Generator not used</p>" in page and "<li>more steps (it took 60)</li>" in page
    looks = [json.loads(line) for line in workspace.evaluations.read_text().splitlines()]
    assert looks[-1]["arms"] == ["real", "reference model"]


@pytest.mark.parametrize("generators", [1, 2])
def test_the_report_is_made_and_nothing_is_published(
    finished_workspace: Path, monkeypatch: pytest.MonkeyPatch, generators: int
) -> None:
    """The export is not repeated: the stage is handed the output that it has, with another usability.json. Of two
    generators the second has not learnt."""

    def copy_one(run: StageRun) -> dict[str, Any]:
        manifest = read_manifest(exported)
        for name in manifest["files"]:
            write_bytes(run.out / name, (exported / name).read_bytes())
        usable = run.generator < generators - 1
        write_json(run.out / "usability.json", make_usability(0.9 if usable else 0.1, usable=usable))
        return manifest["metrics"] | {"usable": usable}

    workspace = Workspace(finished_workspace)
    exported = finished_workspace.parent / "exported"
    workspace.output("digits", "generator_onnx").rename(exported)
    monkeypatch.setattr(generator_onnx, "_export_one", copy_one)
    if generators > 1:
        monkeypatch.setattr(generator_onnx, "count_generators", lambda folder: generators)
    published = read_manifest(workspace.published("digits"))["content"]
    chain = Chain(workspace, Runtime(workers=1))
    assert not chain.run("digits", "generator_onnx").reused
    assert plan_slices(workspace, "digits", 2) == 0
    for stage in AFTER:
        assert not chain.run("digits", stage).reused
    require_unused(workspace, generators)
    with pytest.raises(GeneratorNotUsed, match="nothing is published of 'digits', because its generator was not used"):
        publish(workspace, "digits")
    assert read_manifest(workspace.published("digits"))["content"] == published
    assert verify(workspace, "digits", remote=False, workers=1).findings == []


@pytest.mark.slow
def test_the_command_shows_the_result_and_fails(finished_workspace: Path, edit_recipe: Edit) -> None:
    edit_recipe(finished_workspace, "usable_from: null", "usable_from: 1.0")
    workspace = Workspace(finished_workspace)
    with one_core():
        result = growset(finished_workspace, "run", "digits")
    assert result.exit_code == 1
    assert "check failed: generator_onnx: generator_is_usable: generator not used: its images lie " in result.output
    report = workspace.output("digits", "report") / "report.html"
    assert result.output.index(f"report: {report}") < result.output.index("growset: nothing is published of 'digits'")
    require_unused(workspace)
    # The second time nothing is computed, and the answer is the same.
    again = growset(finished_workspace, "run", "digits", "--json")
    assert again.exit_code == 1
    assert "digits: unchanged" in again.stderr and "nothing is published" in again.stderr
    said = json.loads(again.stdout)
    assert (said["decision"], said["generator_used"], said["ran"]) == ("no evidence", False, [])
    funnel = growset(finished_workspace, "funnel", "digits")
    assert funnel.exit_code == 2 and "no image was drawn of 'digits'" in funnel.output


@pytest.mark.slow
def test_dvc_makes_the_same_and_a_generator_may_be_used_again(finished_workspace: Path, edit_recipe: Edit) -> None:
    edit_recipe(finished_workspace, "usable_from: null", "usable_from: 1.0")
    done = run(finished_workspace, "dvc", "repro")
    assert "generator_is_usable: generator not used: its images lie " in done.stdout + done.stderr
    require_unused(Workspace(finished_workspace))
    edit_recipe(finished_workspace, "usable_from: 1.0", "usable_from: null")
    with one_core():
        result = growset(finished_workspace, "run", "digits")
    assert result.exit_code == 0, result.output
    assert read_manifest(Workspace(finished_workspace).output("digits", "accepted_images"))["metrics"]["accepted"] > 0
