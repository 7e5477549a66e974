"""`--set` in every command that reads a recipe: looking changes nothing, running writes the recipe first."""

import json
from pathlib import Path

import pytest

from ops.recipe.loading import load_recipe
from ops.recipe.stages import STAGES
from tests.workspaces import growset, run


def recipe_path(root: Path) -> Path:
    return root / "recipes" / "digits.yaml"


def test_check_and_plan_look_at_the_changed_recipe_and_leave_its_file(fresh_workspace: Path) -> None:
    before = recipe_path(fresh_workspace).read_bytes()
    checked = growset(fresh_workspace, "check", "--set", "mix.real_weight=2")
    assert checked.exit_code == 0, checked.output
    assert "mix.real_weight: 4.0 -> 2 (for this command only; the file stays as it is)" in checked.output
    planned = growset(fresh_workspace, "plan", "digits", "--json", "--set", "plan.ratio=2", "--set", "seed=1")
    assert planned.exit_code == 0, planned.output
    assert json.loads(planned.stdout)["wanted"] == 64  # 32 without
    assert "plan.ratio: 1.0 -> 2" in planned.stderr
    assert recipe_path(fresh_workspace).read_bytes() == before


@pytest.mark.parametrize(
    "command", [["check"], ["plan", "digits"], ["run", "digits"], ["materialize", "verdict", "digits"]]
)
@pytest.mark.parametrize(
    ("change", "sentence"), [("mix.real_wieght=1", "did you mean 'real_weight'?"), ("seed", "expected key=value")]
)
def test_a_wrong_change_is_one_sentence_before_anything_is_written(
    fresh_workspace: Path, command: list[str], change: str, sentence: str
) -> None:
    before = recipe_path(fresh_workspace).read_bytes()
    result = growset(fresh_workspace, *command, "--set", change)
    assert result.exit_code == 2 and sentence in result.output
    assert len(result.output.strip().splitlines()) == 1
    assert recipe_path(fresh_workspace).read_bytes() == before
    assert not (fresh_workspace / "data").exists()


def test_plan_with_a_change_shows_the_stages_that_it_would_rerun(finished_workspace: Path) -> None:
    def stale(*arguments: str) -> list[str]:
        return json.loads(growset(finished_workspace, "plan", "digits", "--json", *arguments).stdout)["stale"]

    assert stale("--set", "mix.real_weight=4") == [], "the value that it has"
    changed = stale("--set", "mix.real_weight=2")
    assert changed == [stage for stage in STAGES if stage in changed] != []
    assert changed[0] == "mixed_dataset" and "verdict" in changed and "generator" not in changed
    refused = growset(finished_workspace, "plan", "digits", "--minutes", "1", "--set", "mix.real_weight=2")
    assert refused.exit_code == 2 and "give one of them" in refused.output


def test_materialize_and_run_write_the_recipe_which_dvc_then_finds_current(finished_workspace: Path) -> None:
    root = finished_workspace
    before = recipe_path(root).read_text()
    made = growset(root, "materialize", "report", "digits", "--set", "report.examples_per_class=1")
    assert made.exit_code == 0, made.output
    assert f"{recipe_path(root)}: report.examples_per_class: 2 -> 1" in made.output
    assert recipe_path(root).read_text() == before.replace("examples_per_class: 2", "examples_per_class: 1")
    assert run(root, "dvc", "status", "report@digits").stdout.strip() == "Data and pipelines are up to date."
    ran = growset(root, "run", "digits", "--json", "--set", "report.examples_per_class=3")
    assert ran.exit_code == 0, ran.output
    assert json.loads(ran.stdout)["ran"] == ["report"]
    assert load_recipe(recipe_path(root)).report.examples_per_class == 3
    assert "report.examples_per_class: 1 -> 3" in ran.stderr


def test_a_stage_of_dvc_cannot_change_the_recipe(fresh_workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_STAGE", "report@digits")
    result = growset(fresh_workspace, "materialize", "report", "digits", "--set", "seed=1")
    assert result.exit_code == 2 and "dvc repro" in result.output


def test_new_writes_the_copy_with_the_change(fresh_workspace: Path) -> None:
    made = growset(fresh_workspace, "new", "bolder", "--from", "digits", "--set", "plan.ratio=3")
    assert made.exit_code == 0, made.output
    assert load_recipe(fresh_workspace / "recipes" / "bolder.yaml").plan.ratio == 3
    refused = growset(fresh_workspace, "new", "worse", "--from", "digits", "--set", "plan.ratio=none")
    assert refused.exit_code == 2
    assert not (fresh_workspace / "recipes" / "worse.yaml").exists()
