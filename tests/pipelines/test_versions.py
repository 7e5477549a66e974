"""`growset versions`, `growset diff`, `growset report --since`: published versions, and the changes between them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from assets.changes import describe_change
from ops.datasets.pixels import read_rows
from ops.history.comparison import compare
from ops.history.versions import find_version, list_versions, read_contents
from ops.workspaces.workspace import Workspace
from tests.damage import find_cached, flip
from tests.versions import Versions
from tests.workspaces import growset, remove_remote, run


@pytest.fixture
def workspace(two_versions: Versions, tmp_path: Path) -> Path:
    """A copy with the tags digits/v1 and digits/v2."""
    return shutil.copytree(two_versions.root, tmp_path / "workspace", symlinks=True)


def test_versions_are_listed_newest_first_with_counts_and_verdict(workspace: Path) -> None:
    found = json.loads(growset(workspace, "versions", "digits", "--json").stdout)["digits"]
    assert [version["name"] for version in found] == ["digits/v2", "digits/v1"]
    folder = workspace / "published" / "digits" / "data"
    rows = {split: read_rows(sorted(folder.glob(f"{split}-*"))) for split in ("train", "test")}
    for version in found:
        assert version["metrics"]["train"] == len(rows["train"]) and version["metrics"]["test"] == len(rows["test"])
        assert version["metrics"]["generated"] == rows["train"]["is_generated"].sum()
        assert set(version["metrics"]["quality"]) == {"accept_rate", "mean_label_probability", "median_train_distance"}
    assert "digits/v2" in growset(workspace, "versions").output


def test_an_uncommitted_dataset_is_a_version_and_a_version_without_a_tag_is_named_by_its_commit(
    workspace: Path,
) -> None:
    run(workspace, "git", "tag", "--delete", "digits/v1")
    commit = run(workspace, "git", "rev-parse", "HEAD^").stdout[:10]
    run(workspace, "git", "reset", "--quiet", "HEAD^")
    found = json.loads(growset(workspace, "versions", "--json").stdout)["digits"]
    assert [(version["name"], version["commit"] is None) for version in found] == [("digits", True), (commit, False)]
    text = growset(workspace, "versions").output
    assert "digits (uncommitted)" in text and commit in text


def test_a_tag_on_a_later_commit_names_the_version_that_it_holds(workspace: Path) -> None:
    run(workspace, "git", "tag", "--delete", "digits/v2")
    commit = run(workspace, "git", "rev-parse", "HEAD").stdout.strip()
    run(workspace, "git", "commit", "--quiet", "--allow-empty", "--message", "Something else")
    run(workspace, "git", "tag", "digits/v3")
    found = list_versions(Workspace(workspace), "digits")
    assert [version.name for version in found] == ["digits/v3", "digits/v1"] and found[0].commit == commit


def test_a_repository_without_a_commit_has_no_versions(tmp_path: Path) -> None:
    run(tmp_path, "git", "init", "--quiet")
    assert list_versions(Workspace(tmp_path), "digits") == []


def test_a_publication_in_the_ui_shows_the_change_and_the_verdict_before(two_versions: Versions) -> None:
    workspace = Workspace(two_versions.root)
    earlier = read_contents(workspace, find_version(workspace, "digits/v1"))
    shown = describe_change(workspace, "digits", earlier)
    found = compare(earlier, read_contents(workspace, find_version(workspace, "digits/v2")))
    assert {name: shown[f"images_{name}"] for name in ("added", "removed", "changed")} == {
        name: found.totals[name] for name in ("added", "removed", "changed")
    }
    records = [dict(record.data) for record in shown["difference"].records]
    assert {(row["split"], row["kind"], row["changed"]) for row in records} == {("train", "real", 16)}
    assert shown["verdict_before"] == earlier.verdict["decision"] and shown["sentence"]
    assert describe_change(workspace, "digits", None) == {}, "the first publication"


def test_a_diff_counts_what_changed(workspace: Path) -> None:
    rows = read_rows(sorted((workspace / "published" / "digits" / "data").glob("*.parquet")))
    found = json.loads(growset(workspace, "diff", "digits/v1", "digits/v2", "--json").stdout)
    heavier = rows.filter((pl.col("split") == "train") & ~pl.col("is_generated"))
    assert found["totals"] == {
        "before": len(rows),
        "after": len(rows),
        "added": 0,
        "removed": 0,
        "changed": len(heavier),
    }
    assert {(row["split"], row["kind"]) for row in found["classes"] if row["changed"]} == {("train", "real")}
    assert found["summary"]["train"]["before"] == found["summary"]["train"]["after"]
    same = growset(workspace, "diff", "digits@HEAD", "digits")
    assert same.exit_code == 0 and "0 added, 0 removed, 0 changed" in same.output
    text = growset(workspace, "diff", "digits/v1", "digits").output
    assert f"0 added, 0 removed, {len(heavier)} changed of {len(rows)} images" in text and "verdict" in text


def test_the_report_can_show_the_changes_since_a_version(workspace: Path) -> None:
    result = growset(workspace, "report", "digits", "--since", "digits/v1")
    path = Path(result.output.strip())
    assert path.is_file() and path.is_relative_to(workspace / ".growset")
    assert "What changed since digits/v1" in path.read_text()
    assert "What changed since" not in (workspace / "data" / "digits" / "report" / "report.html").read_text()


def test_an_older_version_needs_no_checkout_and_a_lost_version_is_reported(workspace: Path) -> None:
    shutil.rmtree(workspace / "published" / "digits")
    assert growset(workspace, "diff", "digits/v1", "digits").exit_code == 0, "from the cache"
    shutil.rmtree(workspace / ".dvc" / "cache")
    assert growset(workspace, "diff", "digits/v1", "digits").exit_code == 0, "from the remote"
    remove_remote(workspace)
    shutil.rmtree(workspace / ".dvc" / "cache", ignore_errors=True)
    result = growset(workspace, "diff", "digits/v1", "digits")
    assert result.exit_code == 3
    assert "growset: version 'digits/v1' is neither in DVC's cache nor in the remote" in result.output
    listed = growset(workspace, "versions")
    assert listed.exit_code == 0 and "gone: neither in DVC's cache nor in the remote" in listed.output


@pytest.mark.parametrize(
    ("version", "sentence"),
    [
        ("digits/v9", "there is no version 'digits/v9' of 'digits'; its versions: digits/v2, digits/v1"),
        ("digits@nowhere", "there is no version 'digits@nowhere' of 'digits'; its versions: digits/v2, digits/v1"),
        ("digit", "'digit' is not published here; did you mean 'digits'?"),
        ("digits@--all", "there is no version 'digits@--all' of 'digits'"),
    ],
)
def test_a_missing_version_is_reported(workspace: Path, version: str, sentence: str) -> None:
    result = growset(workspace, "diff", version, "digits")
    assert result.exit_code == 2 and sentence in result.output


def test_nothing_published_yet(fresh_workspace: Path, edit_recipe: Callable[[Path, str, str], None]) -> None:
    result = growset(fresh_workspace, "versions")
    assert result.exit_code == 0 and "digits: nothing is published yet; run: growset run digits" in result.output
    result = growset(fresh_workspace, "versions", "digitz")
    assert result.exit_code == 2 and "there is no recipe 'digitz'" in result.output
    (fresh_workspace / "recipes" / "digits.yaml").write_text("nosuchkey: 1\n")
    assert growset(fresh_workspace, "versions").exit_code == 0, "a recipe that is being edited stops no list"


def test_a_damaged_older_version_is_not_compared(workspace: Path) -> None:
    """From the cache, whose objects DVC takes to be whole."""
    for name in ("published/digits/verdict.json", "published/digits/manifest.json"):
        path = find_cached(workspace, name)
        whole = path.read_bytes()
        flip(path)
        shutil.rmtree(workspace / "published" / "digits")
        result = growset(workspace, "diff", "digits@HEAD", "digits/v1")
        assert result.exit_code == 4, result.output
        assert f"{name} of version 'digits@HEAD' is not what was published" in result.output
        path.chmod(0o644)
        path.write_bytes(whole)
        run(workspace, "dvc", "checkout", "published/digits.dvc")
