"""The command line: exit codes, sentences, and that nothing is computed or lost when the input is wrong."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ops.chain.driver import Chain
from ops.recipe.loading import load_recipe
from ops.workspaces.workspace import Workspace
from pipelines.runs import materialize_assets
from tests.workspaces import growset

Edit = Callable[[Path, str, str], None]


@pytest.mark.parametrize(
    "command", [["check", "digits"], ["run", "digits"], ["plan", "digits"], ["materialize", "verdict", "digits"]]
)
@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("real_weight:", "real_wieght:", "unknown key 'mix.real_wieght'"),
        ("real_weight: 4.0", "real_weight: much", "'mix.real_weight'"),
        ("ratio: 1.0", "ratio: -1.0", "'plan.ratio'"),
        (
            "expanded: {}",
            "expanded: {mixup_alpha: 0.5}",
            "mixup_alpha is now written pairing: {kind: mixup, alpha: ...}",
        ),
        ("source: digits", "source: digitz", "there is no source 'digitz'"),
        ("mix: {", "mix: {{", "not valid YAML"),
    ],
)
def test_a_wrong_recipe_is_one_sentence_and_exit_code_2_in_every_command(
    fresh_workspace: Path, edit_recipe: Edit, command: list[str], old: str, new: str, sentence: str
) -> None:
    edit_recipe(fresh_workspace, old, new)
    result = growset(fresh_workspace, *command)
    assert result.exit_code == 2
    assert sentence in result.output
    assert "Traceback" not in result.output
    assert not (fresh_workspace / "data").exists()


def test_unknown_names_are_answered_with_the_nearest(fresh_workspace: Path) -> None:
    assert "did you mean 'digits'?" in growset(fresh_workspace, "run", "digit").output
    status = growset(fresh_workspace, "status", "digit")
    assert status.exit_code == 2 and "did you mean 'digits'?" in status.stderr
    assert "did you mean 'verdict'?" in growset(fresh_workspace, "materialize", "verdikt", "digits").output


def test_activate_and_deactivate_edit_only_the_list(fresh_workspace: Path) -> None:
    recipes = fresh_workspace / "recipes"
    (recipes / "second.yaml").write_text((recipes / "digits.yaml").read_text())
    assert "not active" in growset(fresh_workspace, "check", "second").output
    assert growset(fresh_workspace, "activate", "second").exit_code == 0
    workspace = Workspace(fresh_workspace)
    assert workspace.expansions == ["digits", "second"]
    assert workspace.source_version("second")
    assert (fresh_workspace / "params.yaml").read_text().startswith("# The active ones.")
    assert growset(fresh_workspace, "deactivate", "second").exit_code == 0
    assert Workspace(fresh_workspace).expansions == ["digits"]
    assert (recipes / "second.yaml").exists()


def test_a_recipe_that_dagster_would_write_like_an_active_one_is_not_activated(fresh_workspace: Path) -> None:
    recipes, params = fresh_workspace / "recipes", fresh_workspace / "params.yaml"
    for name in ("a-b", "a_b"):
        (recipes / f"{name}.yaml").write_text((recipes / "digits.yaml").read_text())
    assert growset(fresh_workspace, "activate", "a-b").exit_code == 0
    before = params.read_text()
    result = growset(fresh_workspace, "activate", "a_b")
    assert result.exit_code == 2 and "'a-b' and 'a_b' cannot both be active" in result.output
    assert params.read_text() == before


def test_plan_that_fits_minutes_leaves_comments_alone(fresh_workspace: Path) -> None:
    path = fresh_workspace / "recipes" / "digits.yaml"
    path.write_text(path.read_text().replace("seed: 0\n", "seed: 0  # of everything\n"))
    assert growset(fresh_workspace, "plan", "digits", "--minutes", "0").exit_code == 2
    result = growset(fresh_workspace, "plan", "digits", "--minutes", "10")
    assert result.exit_code == 0, result.output
    steps = load_recipe(path).generator.steps  # type: ignore[attr-defined]
    assert f"generator.steps: 60 -> {steps}" in result.output and steps > 60
    assert "seed: 0  # of everything" in path.read_text()


def test_plan_shows_images_and_bytes_and_writes_nothing(fresh_workspace: Path) -> None:
    result = growset(fresh_workspace, "plan", "digits")
    assert result.exit_code == 0, result.output
    assert "under a minute" in result.output and "MB" in result.output
    row = next(line.split() for line in result.output.splitlines() if line.strip().startswith("total"))
    assert row == ["total", "32", "32", "96"]
    assert not (fresh_workspace / "data").exists()


def test_outside_a_workspace_the_error_explains_what_a_workspace_is(tmp_path: Path) -> None:
    result = growset(tmp_path, "check")
    assert result.exit_code == 2
    assert "is not a Growset workspace" in result.output


def test_a_missing_device_is_exit_code_3_before_any_compute(fresh_workspace: Path) -> None:
    result = growset(fresh_workspace, "run", "digits", "--device", "cuda:99")
    assert result.exit_code == 3, result.output
    assert "device 'cuda:99' cannot be used" in result.output
    assert not (fresh_workspace / "data").exists()


@pytest.mark.slow
def test_cuda_on_a_machine_without_it_is_exit_code_3_and_resumable(finished_workspace: Path, edit_recipe: Edit) -> None:
    edit_recipe(finished_workspace, "steps: 1, solver: euler", "steps: 2, solver: euler")
    result = growset(finished_workspace, "run", "digits", "--provider", "cuda")
    assert result.exit_code == 3, result.output
    assert "provider 'cuda' cannot be used" in result.output
    materialize_assets(Chain(Workspace(finished_workspace)), "digits", ["generated_images"])
