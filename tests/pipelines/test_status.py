"""`growset status`, `growset report`, `--json` and completion: output for scripts and people."""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ops.files.manifests import PUBLISHED
from ops.recipe.stages import STAGES
from ops.workspaces.locks import exclusive
from ops.workspaces.workspace import Workspace
from tests.workspaces import growset

Edit = Callable[[Path, str, str], None]


def read_status(root: Path) -> dict[str, Any]:
    result = growset(root, "status", "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)["expansions"]


def test_nothing_has_run(fresh_workspace: Path) -> None:
    status = read_status(fresh_workspace)["digits"]
    assert status["stages"] == dict.fromkeys((*STAGES, PUBLISHED), "missing")
    assert status["verdict"] is None


def test_all_is_current_after_a_run(finished_workspace: Path) -> None:
    status = read_status(finished_workspace)["digits"]
    assert status["stages"] == dict.fromkeys((*STAGES, PUBLISHED), "current")
    assert status["verdict"]["decision"] in ("helps", "no evidence", "hurts")
    text = growset(finished_workspace, "status").output
    assert status["verdict"]["sentence"] in text
    assert text.count("current") == len(STAGES) + 1


def test_a_changed_key_makes_its_stage_stale_and_says_why(finished_workspace: Path, edit_recipe: Edit) -> None:
    edit_recipe(finished_workspace, "real_weight: 4.0", "real_weight: 7.0")
    status = read_status(finished_workspace)["digits"]
    assert [stage for stage, state in status["stages"].items() if state != "current"] == ["mixed_dataset", PUBLISHED]
    assert "recipes/digits.yaml" in " ".join(status["stale"]["mixed_dataset"])
    assert "mixed_dataset is stale" in growset(finished_workspace, "status").output


def test_a_stage_that_another_process_runs_is_running(finished_workspace: Path) -> None:
    workspace, held, release = Workspace(finished_workspace), threading.Event(), threading.Event()

    def hold() -> None:
        with exclusive(workspace, "digits", "generator"):
            held.set()
            release.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(10)
    try:
        assert read_status(finished_workspace)["digits"]["stages"]["generator"] == "running"
    finally:
        release.set()
        thread.join()


def test_a_broken_recipe_does_not_hide_the_others(finished_workspace: Path) -> None:
    (finished_workspace / "recipes" / "broken.yaml").write_text("mix: {{")
    params = finished_workspace / "params.yaml"
    params.write_text(params.read_text().replace("[digits]", "[broken, digits]"))
    status = read_status(finished_workspace)
    assert "not valid YAML" in status["broken"]["error"]
    assert status["digits"]["stages"]["verdict"] == "current"


def test_the_report_is_found(finished_workspace: Path) -> None:
    result = growset(finished_workspace, "report", "digits")
    assert result.exit_code == 0, result.output
    assert Path(result.stdout.strip()).read_text(encoding="utf-8").startswith("<!doctype html>")


def test_without_a_run_there_is_no_report(fresh_workspace: Path) -> None:
    result = growset(fresh_workspace, "report", "digits")
    assert result.exit_code == 2
    assert "has no report yet; run: growset run digits" in result.output


def test_a_run_gives_one_json_object(finished_workspace: Path, edit_recipe: Edit) -> None:
    edit_recipe(finished_workspace, "examples_per_class: 2", "examples_per_class: 3")
    result = growset(finished_workspace, "run", "digits", "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["ran"] == ["report"]
    assert {arm["arm"] for arm in found["arms"]} == {"real", "oversampled", "expanded"}
    assert Path(found["report"]).is_file()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_call_growset(fresh_workspace: Path, shell: str) -> None:
    result = growset(fresh_workspace, "completion", shell)
    assert result.exit_code == 0, result.output
    assert f"_GROWSET_COMPLETE={shell}_complete" in result.output


def test_names_are_completed(fresh_workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from click.shell_completion import ShellComplete

    from pipelines.cli.main import main

    completer = ShellComplete(main, {}, "growset", "_GROWSET_COMPLETE")
    monkeypatch.chdir(fresh_workspace)
    assert [item.value for item in completer.get_completions(["run"], "di")] == ["digits"]
    assert "status" in [item.value for item in completer.get_completions([], "st")]
    monkeypatch.chdir("/")
    assert completer.get_completions(["run"], "di") == []
