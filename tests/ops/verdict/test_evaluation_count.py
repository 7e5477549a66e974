"""Looks at the test split of a whole workspace: over copied recipes and clones, with a log that was cut or deleted."""

import shutil
from pathlib import Path

import polars as pl
import pytest

from ops.files.manifests import MANIFEST, describe_output, read_manifest
from ops.files.storage import write_json
from ops.verdict.evaluation_count import find_looks, find_looks_at
from ops.verdict.evaluation_log import Evaluation, append_evaluation
from ops.workspaces.workspace import Workspace
from tests.workspaces import growset, one_core


def look(root: Path, content: str, expansion: str = "renamed") -> None:
    record = Evaluation("2026-01-01", expansion, "test", "f", ["real"], [0], 4, content)
    append_evaluation(root / "evaluations.jsonl", record)


def test_a_verdict_holds_the_looks_at_its_split_and_where_they_are_recorded(finished_workspace: Path) -> None:
    looks = find_looks(Workspace(finished_workspace), "digits")
    metrics = read_manifest(finished_workspace / "data" / "digits" / "verdict")["metrics"]
    assert (metrics["looks"], metrics["test_split"], metrics["log_head"]) == (1, looks.content, looks.head)
    assert looks.total == looks.logged == 1 and looks.head is not None
    report = finished_workspace / "data" / "digits" / "report"
    assert read_manifest(report)["metrics"]["evaluations"] == 1
    assert "<dt>look at this test split so far, over all recipes</dt><dd>1</dd>" in (report / "report.html").read_text()
    look(finished_workspace, looks.content)
    look(finished_workspace, "another split")
    assert find_looks(Workspace(finished_workspace), "digits").total == 2


@pytest.mark.slow
def test_a_copied_recipe_shows_the_looks_of_the_split_that_it_shares(finished_workspace: Path) -> None:
    root = finished_workspace
    shutil.copyfile(root / "recipes" / "digits.yaml", root / "recipes" / "twin.yaml")
    assert growset(root, "activate", "twin").exit_code == 0
    with one_core():
        result = growset(root, "run", "twin")
    assert result.exit_code == 0, result.output
    assert find_looks(Workspace(root), "twin").total == 1
    assert read_manifest(root / "data" / "twin" / "report")["metrics"]["evaluations"] == 1
    shutil.rmtree(root / "data" / "digits")
    assert find_looks(Workspace(root), "twin").total == 1


def test_a_deleted_log_stops_a_run_until_it_is_back(finished_workspace: Path) -> None:
    root, log = finished_workspace, finished_workspace / "evaluations.jsonl"
    copy = root / ".growset" / "evaluations.jsonl"
    whole = log.read_bytes()
    log.unlink()
    for command in (["run", "digits"], ["materialize", "report", "digits"], ["verify", "digits"]):
        if command[0] == "materialize":
            shutil.rmtree(root / "data" / "digits" / "report")
        result = growset(root, *command)
        assert result.exit_code == 4, result.output
        assert "lacks an evaluation that was recorded here" in result.output and f"cp {copy} {log}" in result.output
    shutil.copyfile(copy, log)
    with one_core():
        assert growset(root, "run", "digits").exit_code == 0
    assert log.read_bytes() == whole


def test_a_clone_without_the_log_goes_on_counting_from_the_verdict(finished_workspace: Path, tmp_path: Path) -> None:
    """The records are elsewhere: their number is known from the verdict, and the next record takes it over."""
    clone = shutil.copytree(
        finished_workspace, tmp_path / "clone", symlinks=True, ignore=shutil.ignore_patterns(".growset")
    )
    (clone / "evaluations.jsonl").unlink()
    workspace = Workspace(clone)
    found = find_looks(workspace, "digits")
    assert (found.logged, found.elsewhere, found.total, found.head) == (0, 1, 1, None)
    recipe = clone / "recipes" / "digits.yaml"
    recipe.write_text(recipe.read_text().replace("verdict: {}", "verdict: {confidence: 0.9}"))
    with one_core():
        result = growset(clone, "materialize", "verdict", "digits")
    assert result.exit_code == 0, result.output
    found = find_looks(workspace, "digits")
    assert (found.logged, found.elsewhere) == (2, 0)
    assert read_manifest(clone / "data" / "digits" / "verdict")["metrics"]["looks"] == 2


def test_looks_of_folds_count_where_their_log_is_missing(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    rows = pl.DataFrame({"image_id": ["a", "b"], "label": [0, 1]})
    content = find_looks_at(workspace, "digits", rows).content
    folder = workspace.output("digits", "folds")
    looks = [
        {"test_split": "another", "looks": 9, "log_head": "x"},
        {"test_split": content, "looks": 4, "log_head": "y"},
    ]
    write_json(folder / "folds.json", {})
    identity = {"stage": "folds", "version": 1, "fingerprint": "f", "settings": {}, "inputs": {}}
    write_json(folder / MANIFEST, describe_output(folder, identity, {"fold_looks": looks}))
    found = find_looks_at(workspace, "digits", rows)
    assert (found.total, found.logged, found.absent) == (4, 0, ("y",))
