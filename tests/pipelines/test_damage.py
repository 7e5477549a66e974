"""Damaged files in a finished workspace: no later stage, report or publication uses them.

Every file of every output is changed in every way before each stage that reads it; then each front end is tried.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ops.chain.publishing import publish
from ops.errors import DamagedData
from ops.files.manifests import PUBLISHED
from ops.files.storage import read_json
from ops.history.dvc_repository import changed_stages, stage_addresses
from ops.recipe.fingerprints import list_inputs
from ops.recipe.schema import Recipe
from ops.recipe.stages import PUBLISHED_INPUTS, STAGES
from ops.stages.integrity import require_intact
from ops.stages.materialization import Runtime, StageRun, materialize
from ops.workspaces.workspace import Workspace
from tests.workspaces import growset, run

NAME = "digits"


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def replace_by_hand(path: Path) -> None:
    """Another text of the same length, in a file of its own, as an editor leaves it."""
    content = path.read_bytes()
    other = content.replace(b"0", b"1") if b"0" in content else content[::-1]
    path.with_suffix(".new").write_bytes(other)
    os.replace(path.with_suffix(".new"), path)


WAYS = (flip, truncate, replace_by_hand)


def damage(path: Path, way: Any, *, keep_time: bool) -> None:
    before = path.stat()
    way(path)
    if keep_time:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def refuse(run: StageRun) -> dict[str, Any]:
    raise AssertionError(f"stage {run.stage} was built from a damaged input")


def readers(recipe: Recipe, stage: str) -> Iterator[str]:
    """What reads a stage's output; an idle prior's is read by nothing."""
    yield from (name for name in STAGES if stage in list_inputs(recipe, name))
    if stage in PUBLISHED_INPUTS:
        yield PUBLISHED


def start(workspace: Workspace, reader: str) -> None:
    """Begin a stage, or publishing, as every door does."""
    if reader == PUBLISHED:
        publish(workspace, NAME)
    else:
        materialize(workspace, NAME, reader, refuse, Runtime(workers=1))


def test_no_stage_begins_with_a_damaged_input(finished_workspace: Path) -> None:
    workspace = Workspace(finished_workspace)
    time.sleep(2.1)  # from then on the hashes of the copied files are remembered
    require_intact(workspace, NAME, STAGES)
    tried, recipe = 0, workspace.load_recipe(NAME)
    for stage in STAGES:
        folder = workspace.output(NAME, stage)
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            whole = path.read_bytes()
            for number, way in enumerate(WAYS):
                damage(path, way, keep_time=number != 2)
                for reader in readers(recipe, stage) if number == 0 else list(readers(recipe, stage))[-1:]:
                    with pytest.raises(DamagedData) as caught:
                        start(workspace, reader)
                    assert str(path) in str(caught.value)
                    assert f"growset run {NAME}" in str(caught.value)
                    tried += 1
                path.write_bytes(whole)
    assert tried > 100
    require_intact(workspace, NAME, STAGES)


def read_result(root: Path) -> tuple[Any, Any]:
    workspace = Workspace(root)
    return (
        read_json(workspace.output(NAME, "verdict") / "verdict.json"),
        read_json(workspace.published(NAME) / "verdict.json"),
    )


def test_damaged_weights_never_reach_a_verdict_and_a_run_makes_them_again(finished_workspace: Path) -> None:
    workspace, before = Workspace(finished_workspace), read_result(finished_workspace)
    weights = workspace.output(NAME, "baseline_classifiers") / "real.safetensors"
    damage(weights, flip, keep_time=True)
    shutil.rmtree(workspace.output(NAME, "verdict"))

    stopped = growset(finished_workspace, "materialize", "verdict", NAME)
    assert stopped.exit_code == 4
    assert str(weights) in stopped.output and f"growset run {NAME}" in stopped.output

    state = json.loads(growset(finished_workspace, "status", "--json").stdout)["expansions"][NAME]
    assert state["stages"]["baseline_classifiers"] == "damaged"
    assert str(weights) in " ".join(state["stale"]["baseline_classifiers"])

    mended = growset(finished_workspace, "run", NAME)
    assert mended.exit_code == 0, mended.output
    assert "does not hold the bytes that were written" in mended.output
    assert read_result(finished_workspace) == before
    assert f"{NAME}: unchanged" in growset(finished_workspace, "run", NAME).output


def test_an_edited_verdict_is_not_shown_by_any_command_and_is_made_again_by_dvcs_stage(
    finished_workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, before = Workspace(finished_workspace), read_result(finished_workspace)
    path = workspace.output(NAME, "verdict") / "verdict.json"
    path.write_text(path.read_text().replace(before[0]["decision"], "helps"))
    state = json.loads(growset(finished_workspace, "status", "--json").stdout)["expansions"][NAME]
    assert (state["stages"]["verdict"], state["verdict"]) == ("damaged", None)
    for command in (("report", "--since", "x"), ("materialize", "report"), ("materialize", PUBLISHED)):
        stopped = growset(finished_workspace, *command, NAME)
        assert stopped.exit_code == 4 and "helps" not in stopped.output
    assert f"verdict@{NAME}" in changed_stages(finished_workspace, stage_addresses(NAME))  # so `dvc repro` runs it
    monkeypatch.setenv("DVC_STAGE", f"verdict@{NAME}")
    assert growset(finished_workspace, "materialize", "verdict", NAME).exit_code == 0
    assert read_result(finished_workspace) == before


def test_a_damaged_report_and_funnel_are_not_shown(finished_workspace: Path) -> None:
    workspace = Workspace(finished_workspace)
    damage(workspace.output(NAME, "report") / "report.html", flip, keep_time=True)
    damage(workspace.output(NAME, "accepted_images") / "rules.json", replace_by_hand, keep_time=True)
    for command, file in (("report", "report.html"), ("funnel", "rules.json")):
        stopped = growset(finished_workspace, command, NAME)
        assert stopped.exit_code == 4
        assert file in stopped.output


def test_a_damaged_published_dataset_is_published_again(finished_workspace: Path) -> None:
    workspace = Workspace(finished_workspace)
    shard = next(workspace.published(NAME).rglob("train-*.parquet"))
    whole = shard.read_bytes()
    damage(shard, flip, keep_time=True)
    state = json.loads(growset(finished_workspace, "status", "--json").stdout)["expansions"][NAME]
    assert state["stages"][PUBLISHED] == "damaged"
    assert growset(finished_workspace, "run", NAME).exit_code == 0
    assert shard.read_bytes() == whole


def test_a_recipe_that_is_edited_while_dvc_records_its_stage_stays_stale(
    finished_workspace: Path, edit_recipe: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DVC would note the edited recipe beside the output of the old one, and call it current for ever."""
    from ops.chain import driver as running

    commit = running.commit_stage

    def edit_and_commit(root: Path, name: str) -> None:
        edit_recipe(finished_workspace, "real_weight: 5.0", "real_weight: 6.0")
        commit(root, name)

    edit_recipe(finished_workspace, "real_weight: 4.0", "real_weight: 5.0")
    with monkeypatch.context() as patch:
        patch.setattr(running, "commit_stage", edit_and_commit)
        stopped = growset(finished_workspace, "materialize", "mixed_dataset", NAME)
    assert stopped.exit_code == 3
    assert "something changed while it was recorded" in stopped.output
    assert "mixed_dataset" in run(finished_workspace, "dvc", "status", f"mixed_dataset@{NAME}").stdout
    assert growset(finished_workspace, "materialize", "mixed_dataset", NAME).exit_code == 0
    manifest = read_json(Workspace(finished_workspace).output(NAME, "mixed_dataset") / "manifest.json")
    assert manifest["settings"]["mix"]["real_weight"] == 6.0
