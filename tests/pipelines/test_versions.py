"""`growset versions`, `growset diff`, `growset report --since`: what was published when, and what changed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from ops.datasets.pixels import read_rows
from tests.workspaces import growset, one_core, run


@pytest.fixture(scope="module")
def _two_versions(_finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """digits/v1, committed and tagged; then another one, not committed, in which real images weigh 20."""
    root = shutil.copytree(_finished, tmp_path_factory.mktemp("versions") / "workspace", symlinks=True)
    run(root, "git", "add", "--all")
    run(root, "git", "commit", "--quiet", "--message", "First")
    run(root, "git", "tag", "digits/v1")
    recipe = root / "recipes" / "digits.yaml"
    text = recipe.read_text()
    assert "real_weight: 4.0" in text
    recipe.write_text(text.replace("real_weight: 4.0", "real_weight: 20.0"))
    with one_core():
        result = growset(root, "run", "digits")
    assert result.exit_code == 0, result.output
    return root


@pytest.fixture
def two_versions(_two_versions: Path, tmp_path: Path) -> Path:
    return shutil.copytree(_two_versions, tmp_path / "workspace", symlinks=True)


def test_versions_are_listed_newest_first_with_counts_and_verdict(two_versions: Path) -> None:
    found = json.loads(growset(two_versions, "versions", "digits", "--json").stdout)["digits"]
    assert [(version["name"], version["commit"] is None) for version in found] == [
        ("digits", True),
        ("digits/v1", False),
    ]
    rows = {
        split: read_rows(sorted((two_versions / "published" / "digits" / "data").glob(f"{split}-*")))
        for split in ("train", "test")
    }
    for version in found:
        assert version["metrics"]["train"] == len(rows["train"]) and version["metrics"]["test"] == len(rows["test"])
        assert version["metrics"]["generated"] == rows["train"]["is_generated"].sum()
        assert set(version["metrics"]["quality"]) == {"accept_rate", "mean_label_probability", "median_train_distance"}
    text = growset(two_versions, "versions").output
    assert "digits (uncommitted)" in text and "digits/v1" in text
    run(two_versions, "git", "commit", "--quiet", "--all", "--message", "Second")
    names = [version["name"] for version in json.loads(growset(two_versions, "versions", "--json").stdout)["digits"]]
    commit = run(two_versions, "git", "rev-parse", "HEAD").stdout[:10]
    assert names == [commit, "digits/v1"]


def test_a_diff_counts_what_changed(two_versions: Path) -> None:
    rows = read_rows(sorted((two_versions / "published" / "digits" / "data").glob("*.parquet")))
    found = json.loads(growset(two_versions, "diff", "digits/v1", "digits", "--json").stdout)
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
    same = growset(two_versions, "diff", "digits@HEAD", "digits/v1")
    assert same.exit_code == 0 and "0 added, 0 removed, 0 changed" in same.output
    text = growset(two_versions, "diff", "digits/v1", "digits").output
    assert f"0 added, 0 removed, {len(heavier)} changed of {len(rows)} images" in text and "verdict" in text


def test_the_report_can_tell_what_changed_since(two_versions: Path) -> None:
    result = growset(two_versions, "report", "digits", "--since", "digits/v1")
    path = Path(result.output.strip())
    assert path.is_file() and path.is_relative_to(two_versions / ".growset")
    assert "What changed since digits/v1" in path.read_text()
    assert "What changed since" not in (two_versions / "data" / "digits" / "report" / "report.html").read_text()


def test_an_older_version_needs_no_checkout_and_one_that_is_gone_is_told(two_versions: Path) -> None:
    shutil.rmtree(two_versions / "published" / "digits")
    assert growset(two_versions, "diff", "digits/v1", "digits").exit_code == 0, "from the cache"
    shutil.rmtree(two_versions / ".dvc" / "cache")
    result = growset(two_versions, "diff", "digits/v1", "digits")
    assert result.exit_code == 3
    assert "growset: version 'digits/v1' is neither in DVC's cache nor in the remote" in result.output
    listed = growset(two_versions, "versions")
    assert listed.exit_code == 0 and "gone: neither in DVC's cache nor in the remote" in listed.output


@pytest.mark.parametrize(
    ("version", "sentence"),
    [
        ("digits/v9", "there is no version 'digits/v9' of 'digits'; its versions: digits, digits/v1"),
        ("digits@nowhere", "there is no version 'digits@nowhere' of 'digits'; its versions: digits, digits/v1"),
        ("digit", "'digit' is not published here; did you mean 'digits'?"),
        ("digits@--all", "there is no version 'digits@--all' of 'digits'"),
    ],
)
def test_a_version_that_is_not_there_is_told(two_versions: Path, version: str, sentence: str) -> None:
    result = growset(two_versions, "diff", version, "digits")
    assert result.exit_code == 2 and sentence in result.output


def test_nothing_published_yet(fresh_workspace: Path, edit_recipe: Callable[[Path, str, str], None]) -> None:
    result = growset(fresh_workspace, "versions")
    assert result.exit_code == 0 and "digits: nothing is published yet; run: growset run digits" in result.output
