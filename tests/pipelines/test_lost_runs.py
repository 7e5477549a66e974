"""Runs whose process has ended, in a real instance: which are reported, and whose pool slots are freed."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test

from ops.workspaces.locks import mark_alive
from ops.workspaces.workspace import Workspace
from pipelines.definitions import build_definitions
from pipelines.instance import open_instance
from pipelines.lost_runs import IN_PROCESS, announce_run, free_lost_runs
from tests.workspaces import user_environment

POOL = "compute"
MARKED = """
import os, signal, sys
from pathlib import Path
from ops.workspaces.locks import mark_alive
from ops.workspaces.workspace import Workspace
with mark_alive(Workspace(Path(sys.argv[1])), sys.argv[2]):
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def workspace(fresh_workspace: Path) -> Workspace:
    return Workspace(fresh_workspace)


@pytest.fixture
def instance(workspace: Workspace) -> Iterator[dg.DagsterInstance]:
    with open_instance(workspace) as instance:
        instance.event_log_storage.initialize_concurrency_limit_to_default(POOL)
        yield instance


def start_run(instance: dg.DagsterInstance, run_id: str, tags: dict[str, str], status: str = "STARTED") -> str:
    """A run that holds the pool's one slot."""
    create_run_for_test(instance, run_id=run_id, tags=tags, status=dg.DagsterRunStatus[status])
    assert instance.event_log_storage.claim_concurrency_slot(POOL, run_id, "generator").is_claimed
    return run_id


def is_free(instance: dg.DagsterInstance) -> bool:
    return instance.event_log_storage.get_concurrency_info(POOL).active_slot_count == 0


def status(instance: dg.DagsterInstance, run_id: str) -> str:
    run = instance.get_run_by_id(run_id)
    assert run is not None
    return run.status.value


def test_the_slot_of_a_run_whose_process_has_ended_is_freed(workspace: Workspace, instance: dg.DagsterInstance) -> None:
    lost = start_run(instance, "5f3c3b4e-0000-4000-8000-000000000001", {IN_PROCESS: str(workspace.root)})
    assert free_lost_runs(workspace, instance) == [lost]
    assert status(instance, lost) == "FAILURE"
    assert is_free(instance)
    assert free_lost_runs(workspace, instance) == []


def test_a_run_whose_process_lives_keeps_its_slot(workspace: Workspace, instance: dg.DagsterInstance) -> None:
    run_id = "5f3c3b4e-0000-4000-8000-000000000002"
    with announce_run(workspace, run_id) as tags:
        start_run(instance, run_id, tags)
        assert free_lost_runs(workspace, instance) == []
        assert status(instance, run_id) == "STARTED"
        assert not is_free(instance)
    assert free_lost_runs(workspace, instance) == [run_id]


def test_a_run_of_a_folder_that_was_moved_or_copied_is_lost(workspace: Workspace, instance: dg.DagsterInstance) -> None:
    lost = start_run(instance, "5f3c3b4e-0000-4000-8000-000000000003", {IN_PROCESS: "/the/old/place"})
    assert free_lost_runs(workspace, instance) == [lost]
    assert is_free(instance)


def test_a_run_of_another_workspace_is_not_judged(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shared").mkdir()
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "shared"))
    with open_instance(workspace) as instance:
        run_id = "5f3c3b4e-0000-4000-8000-000000000003"
        create_run_for_test(
            instance, run_id=run_id, tags={IN_PROCESS: "/somewhere/else"}, status=dg.DagsterRunStatus.STARTED
        )
        assert free_lost_runs(workspace, instance) == []
        assert status(instance, run_id) == "STARTED"


def test_a_run_of_the_ui_is_lost_when_no_ui_is_running(workspace: Workspace, instance: dg.DagsterInstance) -> None:
    run_id = start_run(instance, "5f3c3b4e-0000-4000-8000-000000000004", {})
    assert free_lost_runs(workspace, instance) == []
    assert free_lost_runs(workspace, instance, no_ui_lives=True) == [run_id]
    assert is_free(instance)


def test_a_run_of_the_ui_that_outlives_it_is_not_lost(workspace: Workspace, instance: dg.DagsterInstance) -> None:
    run_id = start_run(instance, "5f3c3b4e-0000-4000-8000-000000000007", {})
    with mark_alive(workspace, run_id):
        assert free_lost_runs(workspace, instance, no_ui_lives=True) == []
        assert not is_free(instance)
    assert free_lost_runs(workspace, instance) == []  # left in order: it is about to report its end


def test_a_run_of_the_ui_whose_process_was_killed_is_lost(workspace: Workspace, instance: dg.DagsterInstance) -> None:
    """With the code server, which would have noticed."""
    run_id = start_run(instance, "5f3c3b4e-0000-4000-8000-000000000008", {})
    killed = subprocess.run(
        [sys.executable, "-c", MARKED, str(workspace.root), run_id], env=user_environment(), check=False
    )
    assert killed.returncode == -signal.SIGKILL
    assert free_lost_runs(workspace, instance) == [run_id]
    assert is_free(instance)


def test_dagster_does_not_revive_a_run_of_the_command_line(workspace: Workspace, instance: dg.DagsterInstance) -> None:
    """Its user does. A run of the UI whose process crashed is started again once."""
    assert instance.run_retries_enabled
    with announce_run(workspace, "5f3c3b4e-0000-4000-8000-000000000009") as tags:
        for number, given in enumerate((tags, {})):
            run_id = start_run(instance, f"5f3c3b4e-0000-4000-8000-00000000001{number}", given)
            run = instance.get_run_by_id(run_id)
            assert run is not None
            instance.report_run_failed(run, "killed")
            failed = instance.get_run_by_id(run_id)
            assert failed is not None and failed.tags["dagster/will_retry"] == ("true" if not given else "false")
            instance.event_log_storage.free_concurrency_slots_for_run(run_id)


def test_the_slot_of_a_run_that_has_ended_is_free_again(workspace: Workspace, instance: dg.DagsterInstance) -> None:
    start_run(instance, "5f3c3b4e-0000-4000-8000-000000000005", {}, status="FAILURE")
    assert free_lost_runs(workspace, instance) == []
    assert is_free(instance)


def test_the_ui_looks_for_lost_runs_by_itself(workspace: Workspace, instance: dg.DagsterInstance) -> None:
    lost = start_run(instance, "5f3c3b4e-0000-4000-8000-000000000006", {IN_PROCESS: str(workspace.root)})
    sensor = build_definitions(workspace).resolve_sensor_def("free_lost_runs")
    assert sensor.default_status == dg.DefaultSensorStatus.RUNNING
    ticked = sensor.evaluate_tick(dg.build_sensor_context(instance=instance))
    assert ticked.skip_message == f"lost: {lost}"
    assert is_free(instance)
