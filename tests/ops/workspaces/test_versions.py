"""A workspace's versions of the stages: below this Growset's they are told, above it they are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops.errors import UserError
from ops.workspaces.versions import describe_older, read_shipped_versions, require_known_versions
from ops.workspaces.workspace import Workspace
from tests.workspaces import ROOT, growset

OURS = read_shipped_versions()


def test_versions_below_are_one_sentence_and_the_shipped_ones_none(workspace: Workspace) -> None:
    assert describe_older(Workspace(ROOT)) is None
    workspace.edit_params(stage_versions={**OURS, "report": OURS["report"] - 1})
    require_known_versions(workspace)
    assert describe_older(workspace) == (
        f"stage_versions.report in {workspace.root / 'params.yaml'} is below this Growset's ({OURS['report'] - 1} <"
        f" {OURS['report']}), so outputs of older code count as current; raise what is below with: growset upgrade"
    )
    workspace.edit_params(stage_versions={"scorer": 1, "verdict": 1, "mine": 99})
    assert (describe_older(workspace) or "").startswith("stage_versions.scorer and 2 more in ")


def test_a_version_above_was_left_by_a_newer_growset(workspace: Workspace) -> None:
    workspace.edit_params(stage_versions={"report": 99})
    with pytest.raises(UserError, match=rf"report in .* is 99, and this Growset's is {OURS['report']}, so a newer"):
        require_known_versions(workspace)


def test_a_check_warns_of_older_versions_once_and_refuses_newer_ones(fresh_workspace: Path) -> None:
    older = growset(fresh_workspace, "check")
    assert older.exit_code == 0 and older.stdout == "digits: ok\n"
    assert older.stderr.count("so outputs of older code count as current") == 1
    Workspace(fresh_workspace).edit_params(stage_versions=OURS)
    assert "older code" not in growset(fresh_workspace, "check").stderr
    Workspace(fresh_workspace).edit_params(stage_versions={"report": 99})
    for command in ("check", "run"):
        refused = growset(fresh_workspace, command, "digits")
        assert refused.exit_code == 2 and refused.stderr.count("\n") == 1 and not refused.stdout
        assert "a newer Growset made this workspace; update Growset" in refused.stderr


def test_a_plan_and_a_run_warn_before_old_outputs_count_as_current(
    fresh_workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr("pipelines.cli.plan.show_plan", lambda *_, **__: {})
    planned = growset(fresh_workspace, "plan", "digits")
    assert planned.exit_code == 0 and "older code" in planned.stderr
    monkeypatch.setattr("pipelines.cli.commands._require_enough", lambda *_: None)
    monkeypatch.setattr("pipelines.cli.commands._bring_up_to_date", lambda *_: said.append("ran") or ([], None))
    assert "older code" in growset(fresh_workspace, "run", "digits").stderr and said == ["ran"]
