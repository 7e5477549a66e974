"""Ten runs that are launched at once: they take their turns, and all end well."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path

import dagster as dg
import pytest

from assets.pools import COMPUTE
from ops.history.dvc_repository import changed_stages, stage_addresses
from ops.recipe.stages import STAGES
from ops.verdict.evaluation_log import read_log
from ops.workspaces.workspace import Workspace
from pipelines.lost_runs import UNFINISHED
from tests.ui import serve
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
