"""A generator that has not learnt: nothing is drawn or published, the baselines are judged, and the report says why."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from ops.chain.publishing import publish
from ops.errors import GeneratorNotUsed
from ops.files.manifests import read_manifest
from ops.files.storage import read_json
from ops.history.dvc_repository import changed_stages, stage_addresses
from ops.recipe.stages import STAGES
from ops.workspaces.workspace import Workspace
from tests.workspaces import growset, one_core, run

Edit = Callable[[Path, str, str], None]


def require_unused(workspace: Workspace) -> None:
    """All stages are current, and say that nothing was generated."""
    assert changed_stages(workspace.root, stage_addresses("digits")) == {}
    folder = {stage: workspace.output("digits", stage) for stage in STAGES}
    assert sorted(path.name for path in folder["generated_images"].iterdir()) == ["manifest.json", "rounds.json"]
    assert read_manifest(folder["accepted_images"])["metrics"]["shortfall"] == 32
    mixed = pl.read_parquet(folder["mixed_dataset"] / "index.parquet")
    assert (len(mixed), int(mixed["is_generated"].sum())) == (32, 0)
    assert read_json(folder["expanded_classifiers"] / "results.json")["arms"] == {}
    verdict = read_json(folder["verdict"] / "verdict.json")
    assert (verdict["decision"], verdict["generator_used"], verdict["contrasts"]) == ("no evidence", False, [])
    assert verdict["sentence"].startswith("The generator was not used: its images lie ")
    assert [row["arm"] for row in verdict["arms"]] == ["real", "oversampled"]
    page = (folder["report"] / "report.html").read_text(encoding="utf-8")
    assert "Generator not used</p>" in page and "<li>more steps (it took 60)</li>" in page


def test_the_report_is_made_and_nothing_is_published(finished_workspace: Path, edit_recipe: Edit) -> None:
    edit_recipe(finished_workspace, "usable_from: null", "usable_from: 1.0")
    workspace = Workspace(finished_workspace)
    before = read_manifest(workspace.published("digits"))["content"]
    with one_core():
        result = growset(finished_workspace, "run", "digits")
    assert result.exit_code == 1
    assert "check failed: generator_onnx: generator_is_usable: generator not used: its images lie " in result.output
    report = workspace.output("digits", "report") / "report.html"
    assert f"report: {report}" in result.output
    assert "growset: nothing is published of 'digits', because its generator was not used" in result.output
    require_unused(workspace)
    looks = [json.loads(line) for line in workspace.evaluations.read_text().splitlines()]
    assert looks[-1]["arms"] == ["real", "reference model"]
    # The second time nothing is computed, and the answer is the same.
    again = growset(finished_workspace, "run", "digits", "--json")
    assert again.exit_code == 1
    assert "digits: unchanged" in again.stderr and "nothing is published" in again.stderr
    said = json.loads(again.stdout)
    assert (said["decision"], said["generator_used"], said["ran"]) == ("no evidence", False, [])
    with pytest.raises(GeneratorNotUsed):
        publish(workspace, "digits")
    assert read_manifest(workspace.published("digits"))["content"] == before
    funnel = growset(finished_workspace, "funnel", "digits")
    assert funnel.exit_code == 2 and "no image was drawn of 'digits'" in funnel.output
    verified = growset(finished_workspace, "verify", "digits")
    assert "damage" not in verified.output, verified.output


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
