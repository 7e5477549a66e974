"""Publish, clone, pull: a colleague gets the same bytes; git is changed only on request."""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import ops.chain.publishing
from ops.chain.publishing import find_unpublished, is_published, publish
from ops.datasets.pixels import read_split
from ops.history.figures import list_figures
from ops.workspaces.workspace import Workspace
from pipelines.cli.sharing import find_lacking
from tests.workspaces import growset, run, set_remote

Edit = Callable[[Path, str, str], None]


def digest(folder: Path) -> dict[str, str]:
    """sha256 by relative name of all files under a folder."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def with_remote(finished_workspace: Path, tmp_path: Path) -> Path:
    set_remote(finished_workspace, tmp_path / "storage")
    run(finished_workspace, "git", "commit", "--quiet", "--all", "--message", "Use a local remote")
    return finished_workspace


def test_without_a_remote_the_dataset_is_built_and_nothing_is_pushed(finished_workspace: Path) -> None:
    published = finished_workspace / "published" / "digits"
    train = read_split(published / "data", "train")
    assert train.rows["is_generated"].sum() > 0
    assert set(train.rows.filter("is_generated")["weight"]) == {1.0}
    assert set(train.rows.filter(~pl.col("is_generated"))["weight"]) == {4.0}
    assert not read_split(published / "data", "test").rows["is_generated"].any()
    assert "digits" in (published / "README.md").read_text()
    assert published.with_suffix(".dvc").exists()


def test_publish_commit_clone_and_plain_dvc_pull_give_the_same_bytes(
    with_remote: Path, tmp_path: Path, edit_recipe: Edit
) -> None:
    edit_recipe(with_remote, "publish: {}", "publish: {commit: true}")
    run(with_remote, "git", "add", "recipes")
    run(with_remote, "git", "commit", "--quiet", "--message", "Commit what is published")
    (with_remote / "notes.txt").write_text("mine, not yours\n")
    result = growset(with_remote, "materialize", "published_dataset", "digits")
    assert result.exit_code == 0, result.output
    assert run(with_remote, "git", "tag").stdout.split() == ["digits/v1"]
    committed = run(with_remote, "git", "show", "--name-only", "--format=", "HEAD").stdout.split()
    assert set(committed) == {"dvc.lock", "published/.gitignore", "published/digits.dvc", *list_figures("digits")}
    assert "notes.txt" in run(with_remote, "git", "status", "--short").stdout

    origin, clone = tmp_path / "origin.git", tmp_path / "clone"
    run(tmp_path, "git", "init", "--quiet", "--bare", "--initial-branch", "main", str(origin))
    run(with_remote, "git", "remote", "add", "origin", str(origin))
    run(with_remote, "git", "tag", "other/v1")
    run(
        with_remote, "git", "push", "--quiet", "--atomic", "origin", "HEAD", "refs/tags/digits/*"
    )  # a timer of the user's
    run(with_remote, "git", "push", "--quiet", "--atomic", "origin", "HEAD", "digits/v1")  # as the pages say
    assert run(origin, "git", "tag").stdout.split() == ["digits/v1"]
    run(tmp_path, "git", "clone", "--quiet", str(origin), str(clone))
    run(clone, "dvc", "pull")
    assert digest(clone / "published" / "digits") == digest(with_remote / "published" / "digits")
    assert digest(clone / "data") == digest(with_remote / "data")
    assert run(clone, "dvc", "status").stdout.strip() == "Data and pipelines are up to date."
    unchanged = growset(clone, "run", "digits")
    assert "digits: unchanged" in unchanged.output


@pytest.mark.slow
def test_a_clone_pulls_what_is_published_beside_expansions_that_are_not(with_remote: Path, tmp_path: Path) -> None:
    """One expansion has never run, and the commit by hand lists it: plain `dvc pull` would fail on it."""
    (with_remote / "recipes" / "other.yaml").write_text((with_remote / "recipes" / "digits.yaml").read_text())
    assert growset(with_remote, "activate", "other").exit_code == 0
    run(with_remote, "git", "add", "--all")
    run(with_remote, "git", "commit", "--quiet", "--message", "Two expansions")
    refused = growset(with_remote, "commit", "digits")
    assert (refused.exit_code, "'digits' is not published, or not completely" in refused.output) == (2, True)
    never = growset(with_remote, "commit", "other")
    assert (never.exit_code, "'other' is not current (real_images," in never.output) == (2, True)
    assert growset(with_remote, "materialize", "published_dataset", "digits").exit_code == 0
    done = growset(with_remote, "commit", "digits")
    assert (done.exit_code, done.output) == (0, "digits: committed, digits/v1\n")
    assert "other" not in run(with_remote, "git", "show", "HEAD:params.yaml").stdout.partition("stage_versions")[0]
    assert Workspace(with_remote).expansions == ["digits", "other"], "the user's own list stays"
    again = growset(with_remote, "commit", "digits")
    assert (again.exit_code, again.output) == (0, "digits: nothing to commit\n")

    run(tmp_path, "git", "clone", "--quiet", str(with_remote), "clone")
    clone = tmp_path / "clone"
    run(clone, "dvc", "pull")  # exit code 0
    assert digest(clone / "published" / "digits") == digest(with_remote / "published" / "digits")
    assert digest(clone / "data") == digest(with_remote / "data")
    assert run(clone, "dvc", "status").stdout.strip() == "Data and pipelines are up to date."
    assert "no evidence" in run(clone, "dvc", "metrics", "show").stdout


def test_files_that_a_clone_lacks_are_named(fresh_workspace: Path) -> None:
    workspace = Workspace(fresh_workspace)
    (fresh_workspace / "notes.txt").write_text("mine")
    assert find_lacking(workspace, ["digits"]) == []
    set_remote(fresh_workspace, fresh_workspace.parent / "storage")
    (fresh_workspace / "sources" / "more.yaml").write_text("kind: parquet\n")
    assert find_lacking(workspace, ["digits"]) == [".dvc/config"]
    assert find_lacking(workspace, ["more", "digits", "more"]) == [".dvc/config", "sources/more.yaml"]


def test_publishing_again_with_nothing_new_makes_no_second_version(with_remote: Path, edit_recipe: Edit) -> None:
    edit_recipe(with_remote, "publish: {}", "publish: {commit: true}")
    for _ in range(2):
        result = growset(with_remote, "materialize", "published_dataset", "digits")
        assert result.exit_code == 0, result.output
    assert run(with_remote, "git", "tag").stdout.split() == ["digits/v1"]


def test_a_recipe_that_is_edited_during_the_push_is_not_committed_as_what_made_the_data(
    with_remote: Path, edit_recipe: Edit, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit_recipe(with_remote, "publish: {}", "publish: {commit: true}")
    push = ops.chain.publishing.push

    def push_slowly(*arguments: Any) -> int:
        edit_recipe(with_remote, "real_weight: 4.0", "real_weight: 7.0")
        return push(*arguments)

    monkeypatch.setattr(ops.chain.publishing, "push", push_slowly)
    result = growset(with_remote, "materialize", "published_dataset", "digits")
    assert result.exit_code == 3 and "was edited while 'digits' was published" in result.output
    monkeypatch.undo()
    again = growset(with_remote, "materialize", "published_dataset", "digits")
    assert again.exit_code == 2 and "'digits' is not published: mixed_dataset" in again.output
    assert run(with_remote, "git", "tag").stdout == ""


def test_a_pointer_of_another_version_does_not_count_as_published(with_remote: Path) -> None:
    workspace = Workspace(with_remote)
    recipe, pointer = workspace.load_recipe("digits"), workspace.pointer("digits")
    publish(workspace, "digits")
    assert find_unpublished(workspace, "digits", recipe) is None and is_published(workspace, "digits", recipe)
    entry = re.search(r"md5: (\w+)", (with_remote / "dvc.lock").read_text())
    assert entry is not None
    pointer.write_text(re.sub(r"md5: \w+", f"md5: {entry[1]}", pointer.read_text(), count=1))
    assert find_unpublished(workspace, "digits", recipe) is not None
    assert not is_published(workspace, "digits", recipe)


@pytest.mark.slow
def test_a_run_makes_the_commit_that_a_break_after_the_push_prevented(
    with_remote: Path, edit_recipe: Edit, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit_recipe(with_remote, "publish: {}", "publish: {commit: true}")

    def stop(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ops.chain.publishing, "commit_publication", stop)
        assert growset(with_remote, "materialize", "published_dataset", "digits").exit_code != 0
    assert run(with_remote, "git", "tag").stdout == ""
    result = growset(with_remote, "run", "digits")
    assert result.exit_code == 0, result.output
    assert run(with_remote, "git", "tag").stdout.split() == ["digits/v1"]
    assert "digits: unchanged" in growset(with_remote, "run", "digits").output


@pytest.mark.slow
def test_a_run_tracks_the_dataset_that_a_break_left_untracked(
    finished_workspace: Path, edit_recipe: Edit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second publication was swapped in, and its pointer is still that of the first."""
    source = finished_workspace / "sources" / "digits.yaml"
    source.write_text(source.read_text().replace("BSD-3-Clause", "CC0-1.0"))  # the card says it, no stage reads it

    def stop(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ops.chain.publishing, "track", stop)
        assert growset(finished_workspace, "materialize", "published_dataset", "digits").exit_code != 0
    assert "cc0-1.0" in (finished_workspace / "published" / "digits" / "README.md").read_text()
    assert "digits.dvc" in run(finished_workspace, "dvc", "status").stdout
    result = growset(finished_workspace, "run", "digits")
    assert result.exit_code == 0, result.output
    assert run(finished_workspace, "dvc", "status").stdout.strip() == "Data and pipelines are up to date."


def test_staged_changes_of_the_user_stop_the_commit_after_the_push(with_remote: Path, edit_recipe: Edit) -> None:
    edit_recipe(with_remote, "publish: {}", "publish: {commit: true}")
    (with_remote / "notes.txt").write_text("half done\n")
    run(with_remote, "git", "add", "notes.txt")
    head = run(with_remote, "git", "rev-parse", "HEAD").stdout
    result = growset(with_remote, "materialize", "published_dataset", "digits")
    assert result.exit_code == 2
    assert "git has staged changes (notes.txt)" in result.output
    assert run(with_remote, "git", "rev-parse", "HEAD").stdout == head


def test_pull_fetches_one_dataset_alone(with_remote: Path, tmp_path: Path) -> None:
    assert growset(with_remote, "materialize", "published_dataset", "digits").exit_code == 0
    run(with_remote, "git", "add", "dvc.lock", "params.yaml", "published")
    run(with_remote, "git", "commit", "--quiet", "--message", "Publish by hand")
    clone = tmp_path / "clone"
    run(tmp_path, "git", "clone", "--quiet", str(with_remote), str(clone))
    result = growset(clone, "pull", "digits", "--only", "mixed")
    assert result.exit_code == 0, result.output
    assert {path.name for path in (clone / "data" / "digits").iterdir()} == {
        "real_images",
        "generated_images",
        "mixed_dataset",
    }


def test_an_unreachable_remote_is_an_environment_fault(finished_workspace: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where the remote's folder should be")
    set_remote(finished_workspace, blocked / "storage")
    result = growset(finished_workspace, "materialize", "published_dataset", "digits")
    assert result.exit_code == 3, result.output
    assert "DVC remote failed" in result.output


def test_pulling_a_dataset_that_cannot_exist_names_the_mistake(fresh_workspace: Path, tmp_path: Path) -> None:
    result = growset(fresh_workspace, "pull", "digits")
    assert (result.exit_code, result.stderr) == (
        2,
        f"growset: {fresh_workspace} has no default DVC remote to pull from; name one with:"
        " dvc remote add --default NAME URL\n",
    )
    set_remote(fresh_workspace, tmp_path / "storage")
    pointer = fresh_workspace / "published" / "digits.dvc"
    for options, first in (
        (["--only", "published"], str(pointer)),
        (["--only", "accepted"], "generated_images@digits"),
        ([], "real_images@digits"),
    ):
        result = growset(fresh_workspace, "pull", "digits", *options)
        assert (result.exit_code, result.stderr) == (
            2,
            f"growset: this commit has no data for {first}; check out one in which it was published\n",
        )
