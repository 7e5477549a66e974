"""Merging a workspace's files into those of a project: every line of the project's stays, or nothing is written."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ops.errors import UserError
from ops.scaffold.adoption import find_repository, merge, undone_if_it_fails

STAGES = "# Generated.\nstages:\n  report:\n    cmd: growset\n    deps:\n    - a\n"


def test_a_repository_is_found_from_a_folder_that_does_not_exist_yet(tmp_path: Path) -> None:
    assert find_repository(tmp_path / "a" / "b") is None
    (tmp_path / "a" / ".git").mkdir(parents=True)
    assert find_repository(tmp_path / "a" / "b" / "c") == tmp_path / "a"
    (tmp_path / "a" / "b" / ".dvc").mkdir(parents=True)
    assert find_repository(tmp_path / "a" / "b") == tmp_path / "a" / "b"


def test_patterns_are_added_once() -> None:
    merged = merge(".gitignore", b"*.log\n/data/", b"/data/\n.growset/\n")
    assert merged == b"*.log\n/data/\n.growset/\n"
    assert merge(".gitignore", merged, b"/data/\n.growset/\n") == merged


def test_the_readme_of_the_project_stays_and_other_files_are_refused() -> None:
    assert merge("README.md", b"mine", b"yours") == b"mine"
    assert merge("dagster.yaml", b"same", b"same") == b"same"
    with pytest.raises(UserError, match=r"dagster\.yaml exists already"):
        merge("dagster.yaml", b"mine", b"yours")


def test_keys_are_added_below_the_ones_of_the_project() -> None:
    old = "# Mine.\nlr: 0.1  # tuned"
    merged = merge("params.yaml", old.encode(), b"expansions: [a]\n").decode()
    assert merged == "# Mine.\nlr: 0.1  # tuned\n\nexpansions: [a]\n"
    with pytest.raises(UserError, match=r"params\.yaml has the key expansions already"):
        merge("params.yaml", merged.encode(), b"expansions: [a]\n")
    with pytest.raises(UserError, match="written in a style"):
        merge("params.yaml", b"{lr: 0.1}\n", b"expansions: [a]\n")
    with pytest.raises(UserError, match="holds list"):
        merge("params.yaml", b"- a\n", b"expansions: [a]\n")


@pytest.mark.parametrize("indent", [1, 2, 4])
def test_stages_are_added_at_the_indentation_of_the_project(indent: int) -> None:
    space = " " * indent
    old = f"vars:\n- a.yaml\nstages:  # mine\n{space}train:  # long\n{space}  cmd: train\n\nmetrics: [m.json]\n"
    merged = merge("dvc.yaml", old.encode(), STAGES.encode()).decode()
    assert all(line in merged.splitlines() for line in old.splitlines())
    content = yaml.safe_load(merged)
    assert list(content["stages"]) == ["report", "train"] and content["metrics"] == ["m.json"]
    assert content["stages"]["report"] == {"cmd": "growset", "deps": ["a"]}
    with pytest.raises(UserError, match="has a stage report already"):
        merge("dvc.yaml", merged.encode(), STAGES.encode())


@pytest.mark.parametrize("old", ["", "# nothing yet\n", "artifacts: {}\n", "stages:\n"])
def test_a_pipeline_without_stages_gets_them(old: str) -> None:
    content = yaml.safe_load(merge("dvc.yaml", old.encode(), STAGES.encode()))
    assert list(content["stages"]) == ["report"]


FIGURES = """\
stages:
  report:
    cmd: growset
metrics:
- figures/metrics
plots:
- figures/arms:
    x: accuracy
"""
ARMS = {"figures/arms": {"x": "accuracy"}}


@pytest.mark.parametrize("column", ["", "  "])
def test_figures_are_added_to_lists_of_the_project(column: str) -> None:
    old = (
        f"metrics:  # mine\n{column}- m.json\n# first train\nstages:\n  train: {{cmd: train}}\n"
        f"plots:\n{column}- p.csv:\n{column}    x: step\n"
    )
    merged = merge("dvc.yaml", old.encode(), FIGURES.encode()).decode()
    assert all(line in merged.splitlines() for line in old.splitlines())
    content = yaml.safe_load(merged)
    assert content["metrics"] == ["figures/metrics", "m.json"]
    assert content["plots"] == [ARMS, {"p.csv": {"x": "step"}}]
    assert list(content["stages"]) == ["report", "train"]


def test_plots_that_the_project_names_by_key_get_ours_as_keys() -> None:
    old = "plots:\n   roc:\n     x: a.csv\nmetrics:\n"
    content = yaml.safe_load(merge("dvc.yaml", old.encode(), FIGURES.encode()))
    assert content["plots"] == {**ARMS, "roc": {"x": "a.csv"}}
    assert content["metrics"] == ["figures/metrics"] and list(content["stages"]) == ["report"]


@pytest.mark.parametrize(
    ("old", "sentence"),
    [
        ("metrics: [m.json]\n", "written in a style"),
        ("metrics: m.json\n", "has an entry 'metrics' to which Growset cannot add its own; write it as a list"),
        ("plots:\n  figures/arms: {x: mine}\n", "has a key of plots: figures/arms already"),
    ],
)
def test_figures_that_cannot_be_added_are_refused(old: str, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        merge("dvc.yaml", old.encode(), FIGURES.encode())


def test_a_failure_brings_everything_back_and_deletes_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "cake.yaml").write_text("sugar")
    with pytest.raises(KeyError), undone_if_it_fails(tmp_path, ["notes.txt", "recipes/a.yaml", "sources/a.yaml"]):
        (tmp_path / ".git").mkdir()
        (tmp_path / "sources").mkdir()
        for name in ("notes.txt", "recipes/a.yaml", "sources/a.yaml"):
            (tmp_path / name).write_text("yours")
        raise KeyError
    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {"notes.txt", "recipes/cake.yaml"}
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert not (tmp_path / ".git").exists() and not (tmp_path / "sources").exists()
