"""`growset run`: what it asks for before anything is computed, a rehearsal, and what is left for git."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from ops.files.storage import read_json
from ops.history.git import list_uncommitted
from ops.workspaces.workspace import Workspace
from tests.workspaces import growset, one_core, run

Edit = Callable[[Path, str, str], None]


def test_too_few_images_need_force_before_anything_is_computed(fresh_workspace: Path, edit_recipe: Edit) -> None:
    edit_recipe(fresh_workspace, "images_per_class: 16", "images_per_class: 9")
    before = (fresh_workspace / "params.yaml").read_bytes()
    refused = growset(fresh_workspace, "run", "digits", "--set", "seed=5")
    assert refused.exit_code == 2
    (sentence,) = refused.output.splitlines()
    assert "18 training images of 2 classes are too few" in sentence
    assert sentence.endswith("to run it all the same: growset run digits --force")
    assert not (fresh_workspace / "data").exists()
    assert (fresh_workspace / "params.yaml").read_bytes() == before
    assert "seed: 0" in (fresh_workspace / "recipes" / "digits.yaml").read_text(), "not even the recipe is written"


def test_a_run_that_was_forced_goes_on_without_asking_again(
    fresh_workspace: Path, edit_recipe: Edit, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit_recipe(fresh_workspace, "images_per_class: 16", "images_per_class: 9")
    assert growset(fresh_workspace, "materialize", "real_images", "digits").exit_code == 0
    asked: list[str] = []
    monkeypatch.setattr("pipelines.cli.commands._bring_up_to_date", lambda *arguments: asked.append(arguments[1]) or [])
    result = growset(fresh_workspace, "run", "digits")
    assert asked == ["digits"], result.output


def test_new_and_changed_files_are_told_apart(fresh_workspace: Path) -> None:
    assert list_uncommitted(fresh_workspace) == ([], [])
    (fresh_workspace / "notes").mkdir()
    (fresh_workspace / "notes" / "one.txt").write_text("new")
    (fresh_workspace / "ä b.txt").write_text("new")
    (fresh_workspace / "evaluations.jsonl").write_text("")
    (fresh_workspace / "params.yaml").write_text("changed")
    assert list_uncommitted(fresh_workspace) == (["evaluations.jsonl", "notes/", "ä b.txt"], ["params.yaml"])


def test_outside_of_git_nothing_is_uncommitted(tmp_path: Path) -> None:
    assert list_uncommitted(tmp_path) == ([], [])


@pytest.mark.slow
def test_a_rehearsal_runs_the_whole_chain_and_leaves_the_workspace_as_it_was(fresh_workspace: Path) -> None:
    def look() -> dict[str, bytes]:
        paths = [path for path in fresh_workspace.rglob("*") if path.is_file() and ".growset" not in path.parts]
        return {str(path): path.read_bytes() for path in paths if ".git" not in path.parts}

    before = look()
    with one_core():
        result = growset(fresh_workspace, "run", "digits", "--quick", "--json", "--set", "seed=3")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["sentence"].startswith("This is a rehearsal with few images and steps, and decides nothing. ")
    assert (found["rehearsal"], found["decision"], found["expansion"]) == (True, "no evidence", "digits-quick")
    assert look() == before
    assert run(fresh_workspace, "git", "status", "--porcelain").stdout == ""
    small = Workspace(Workspace(fresh_workspace).rehearsal("digits"))
    assert "This is a rehearsal" in Path(found["report"]).read_text(encoding="utf-8")
    assert small.load_recipe("digits-quick").seed == 3
    assert (small.published("digits-quick") / "README.md").exists()
    assert read_json(small.output("digits-quick", "verdict") / "verdict.json")["seeds"] == 2
    assert small.evaluations.exists() and not Workspace(fresh_workspace).evaluations.exists()
