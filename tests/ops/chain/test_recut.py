"""Rounds in a real workspace: a new threshold rewrites the index, a tighter one draws only the missing images."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest

from ops.chain.driver import Chain
from ops.datasets.index import read_index
from ops.datasets.pixels import read_rows
from ops.datasets.shards import find_shards
from ops.files.manifests import read_manifest
from ops.files.storage import read_json
from ops.stages.materialization import Runtime
from ops.workspaces.workspace import Workspace

Edit = Callable[[Path, str, str], None]
LABEL = "wrong_label: {threshold: 0.05}"


def refuse(*_: object, **__: object) -> NoReturn:
    raise AssertionError("nothing is to be drawn or scored again")


def recut(workspace: Workspace) -> tuple[dict[str, Any], dict[str, Any]]:
    """Bring both stages up to date; their metrics."""
    chain = Chain(workspace, Runtime(workers=1))
    first, second = (chain.run("digits", stage) for stage in ("generated_images", "accepted_images"))
    assert not first.reused
    return first.manifest["metrics"], second.manifest["metrics"]


def list_inodes(folder: Path) -> set[int]:
    """Inodes of the pixel files: a file that was written again has another one."""
    return {path.stat().st_ino for path in find_shards(folder, "generated")}


def test_a_looser_threshold_rewrites_the_index_and_no_pixel(
    finished_workspace: Path, edit_recipe: Edit, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace = Workspace(finished_workspace)
    generated, accepted = (workspace.output("digits", name) for name in ("generated_images", "accepted_images"))
    inodes, before = list_inodes(generated), read_index(accepted)
    manifest = read_manifest(generated)
    rounds, content = manifest["metrics"]["rounds"], manifest["content"]
    edit_recipe(finished_workspace, LABEL, "wrong_label: null")
    monkeypatch.setattr("ops.drawing.pieces._draw_piece", refuse)
    monkeypatch.setattr("ops.chain.parts.scoring.read_shards", refuse)
    drawn, cut = recut(workspace)
    assert drawn["taken_over"] == drawn["images"]
    assert list_inodes(generated) <= inodes
    after = read_index(accepted)
    assert after["image_id"].to_list() == before["image_id"].to_list()[: len(after)]
    assert cut["rejected_wrong_label"] == 0
    # The number of rounds is the same, so nothing that depends on the images alone is made again.
    assert (drawn["rounds"], read_manifest(generated)["content"]) == (rounds, content)
    assert not {reason for why in after["reasons"] for reason in why} & {"wrong_label"}


def test_a_tighter_threshold_draws_only_the_round_that_is_missing(finished_workspace: Path, edit_recipe: Edit) -> None:
    workspace = Workspace(finished_workspace)
    generated = workspace.output("digits", "generated_images")
    before = read_rows(find_shards(generated, "generated"))
    first = before.filter(before["round"] == 0)
    few = read_index(workspace.output("digits", "accepted_images")).filter(before["round"] == 0)
    tight = few["label_probability"].quantile(0.8)
    edit_recipe(finished_workspace, LABEL, f"wrong_label: {{threshold: {tight:.6f}}}")
    drawn, cut = recut(workspace)

    rows = read_rows(find_shards(generated, "generated"))
    assert drawn["taken_over"] == len(first) < drawn["images"] == len(rows)
    assert rows["image_id"].to_list()[: len(first)] == first["image_id"].to_list()
    assert rows["image_id"].n_unique() == len(rows)
    record = read_json(generated / "rounds.json")
    assert [sum(entry["drawn"]) for entry in record["rounds"]] == [len(first), len(rows) - len(first)]
    for label in (0, 1):  # draws are numbered on, so no noise is used twice
        own = rows.filter(rows["label"] == label)
        assert own["k"].to_list() == list(range(len(own)))
    assert cut["generated"] == len(rows)

    content = read_manifest(generated)["content"]
    shutil.rmtree(generated)
    assert recut_alone(workspace) == content


def recut_alone(workspace: Workspace) -> str:
    """The content of `generated_images` when it is computed from scratch."""
    outcome = Chain(workspace, Runtime(workers=1)).run("digits", "generated_images")
    assert outcome.manifest["metrics"]["taken_over"] == 0
    content: str = outcome.manifest["content"]
    return content
