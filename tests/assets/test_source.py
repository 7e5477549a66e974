"""The asset of a source: what it reports, and which of its faults are tried again."""

from pathlib import Path

import dagster as dg
import pytest

from assets import retries
from assets.place import read_place
from assets.source import build_source
from ops.chain import real_images
from ops.chain.driver import Chain
from ops.chain.real_images import survey_source
from ops.errors import EnvironmentFault, GrowsetError, UserError
from ops.workspaces.workspace import Workspace

FAULT = EnvironmentFault("the remote cannot be reached")


def materialize(root: Path, *, retries: bool) -> dg.ExecuteInProcessResult:
    workspace = Workspace(root)
    asset = build_source("digits", [read_place(workspace, "digits", retries=retries)])
    with dg.DagsterInstance.ephemeral() as instance:
        return dg.materialize([asset], resources={"chain": Chain(workspace)}, instance=instance, raise_on_error=False)


def fail_first(monkeypatch: pytest.MonkeyPatch, *errors: GrowsetError) -> None:
    """The next readings of the source raise these errors."""
    pending = list(errors)

    def survey(workspace: Workspace, source: str) -> real_images.SourceSurvey:
        if pending:
            raise pending.pop(0)
        return survey_source(workspace, source)

    monkeypatch.setattr(real_images, "survey_source", survey)
    policy = dg.RetryPolicy(max_retries=retries.REMOTE.max_retries, delay=0)
    monkeypatch.setattr(retries, "REMOTE", policy)


def count_retries(result: dg.ExecuteInProcessResult) -> int:
    return sum(event.event_type_value == "STEP_UP_FOR_RETRY" for event in result.all_events)


def test_it_reports_content_and_size(fresh_workspace: Path) -> None:
    (event,) = materialize(fresh_workspace, retries=False).get_asset_materialization_events()
    found, files = event.materialization, list((fresh_workspace / "images").iterdir())
    assert found.asset_key == dg.AssetKey(["sources", "digits"])
    assert found.metadata["files"].value == len(files) == 3
    assert found.metadata["bytes"].value == sum(file.stat().st_size for file in files)
    assert found.metadata["licence"].value == "BSD-3-Clause"
    content = survey_source(Workspace(fresh_workspace), "digits").content
    assert (found.tags or {})["dagster/data_version"] == content[:32]


def test_a_fault_of_the_remote_is_tried_again_in_the_ui(fresh_workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_first(monkeypatch, FAULT, FAULT)
    result = materialize(fresh_workspace, retries=True)
    assert result.success and count_retries(result) == 2


def test_the_command_line_tells_it_at_once(fresh_workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_first(monkeypatch, FAULT)
    result = materialize(fresh_workspace, retries=False)
    assert not result.success and count_retries(result) == 0


def test_a_users_mistake_is_never_tried_again(fresh_workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_first(monkeypatch, UserError("there is no such folder"))
    result = materialize(fresh_workspace, retries=True)
    assert not result.success and count_retries(result) == 0
