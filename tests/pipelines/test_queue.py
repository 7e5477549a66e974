"""Runs of the UI: ten that are launched at once take their turns; one that dies is started again, one that is stopped
is not."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path

import dagster as dg
import psutil
import pytest

from assets.pools import COMPUTE
from ops.history.dvc_repository import changed_stages, stage_addresses
from ops.recipe.stages import STAGES
from ops.verdict.evaluation_log import read_log
from ops.workspaces.workspace import Workspace
from pipelines.lost_runs import UNFINISHED
from tests.kills import find_phase, wait_for
from tests.ui import find_worker, serve
from tests.workspaces import growset, make_workspace

EXPANSIONS = ("digits", "second")
RUNS, AT_ONCE = 10, 2
PATIENCE = 2400  # seconds, on a busy machine


@pytest.mark.slow
def test_ten_queued_runs_end_and_never_compute_two_steps_at_once(tmp_path: Path) -> None:
    """Five of each of two expansions, both to be made anew: the first computes, the others find its outputs."""
    workspace = Workspace(make_workspace(tmp_path / "workspace", EXPANSIONS))
    home = workspace.root / ".growset" / "dagster"
    with serve(workspace.root) as client, dg.DagsterInstance.from_config(str(home)) as instance:
        ids = [client.launch(EXPANSIONS[number % len(EXPANSIONS)]) for number in range(RUNS)]
        deadline, most = time.monotonic() + PATIENCE, 0
        waiting = dg.RunsFilter(run_ids=ids, statuses=[*UNFINISHED, dg.DagsterRunStatus.QUEUED])
        while instance.get_runs_count(waiting):
            assert time.monotonic() < deadline, {run.status for run in instance.get_runs(waiting)}
            most = max(most, instance.get_runs_count(dg.RunsFilter(statuses=UNFINISHED)))
            time.sleep(0.5)
        assert {run.status for run in instance.get_runs(dg.RunsFilter(run_ids=ids))} == {dg.DagsterRunStatus.SUCCESS}
        assert 1 <= most <= AT_ONCE
        steps = sorted(step for run_id in ids for step in find_computing(instance, run_id))
        assert len(steps) >= RUNS * len(STAGES)
        assert [late for early, late in pairwise(steps) if late[0] < early[1]] == []
        assert instance.event_log_storage.get_concurrency_info(COMPUTE).active_slot_count == 0
    for name in EXPANSIONS:
        assert changed_stages(workspace.root, stage_addresses(name)) == {}
        assert sum(record["expansion"] == name for record in read_log(workspace.evaluations)) <= 1
        assert growset(workspace.root, "verify", name).exit_code == 0


@pytest.mark.slow
def test_a_run_that_dies_is_started_again_and_one_that_is_stopped_is_not(tmp_path: Path) -> None:
    """Both are in the middle of a stage, and the next run goes on with it."""
    root = make_workspace(tmp_path / "workspace")
    with serve(root) as client, dg.DagsterInstance.from_config(str(root / ".growset" / "dagster")) as instance:
        stopped = client.launch("digits")
        wait_for(lambda: find_phase(root) == "generator", seconds=PATIENCE)
        client.terminate(stopped)
        assert client.wait_for_end(stopped, seconds=PATIENCE) == "CANCELED"

        killed = client.launch("digits")
        wait_for(lambda: find_worker(root, killed), seconds=PATIENCE)
        wait_for(lambda: find_phase(root) == "generator", seconds=PATIENCE)
        psutil.Process(find_worker(root, killed)).kill()
        assert client.wait_for_end(killed, seconds=PATIENCE) == "FAILURE"
        wait_for(lambda: find_revived(instance, killed), seconds=PATIENCE)
        assert client.wait_for_end(find_revived(instance, killed) or "", seconds=PATIENCE) == "SUCCESS"
        assert find_revived(instance, stopped) is None and instance.get_runs_count() == 3
    assert changed_stages(root, stage_addresses("digits")) == {}
    assert growset(root, "verify", "digits").exit_code == 0


def find_revived(instance: dg.DagsterInstance, run_id: str) -> str | None:
    """The run in which Dagster's daemon started this run again."""
    found = [run.run_id for run in instance.get_runs() if run.parent_run_id == run_id]
    return found[0] if found else None


def find_computing(instance: dg.DagsterInstance, run_id: str) -> list[tuple[float, float, str]]:
    """When a run's steps in the pool began and ended, with their names."""
    run = instance.get_run_by_id(run_id)
    assert run is not None and run.execution_plan_snapshot_id is not None
    plan = instance.get_execution_plan_snapshot(run.execution_plan_snapshot_id)
    pooled = {step.key for step in plan.steps if step.pool == COMPUTE}
    return [
        (step.start_time, step.end_time, step.step_key)
        for step in instance.get_run_step_stats(run_id)
        if step.step_key in pooled and step.start_time and step.end_time
    ]
