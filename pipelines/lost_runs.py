"""Runs whose process was killed: say so in Dagster's history, and give back the pool slots they still hold.

Dagster keeps slots in its database. One that a dead run claimed would block every later run for ever, so each door
looks for lost runs before it claims any, and the UI does so every few seconds.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from ops.workspaces.locks import is_alive, mark_alive
from ops.workspaces.workspace import Workspace

IN_PROCESS = "growset/in_process"  # tag of a run outside of the UI; its value is the workspace
UNFINISHED = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


@contextmanager
def announce_run(workspace: Workspace, run_id: str) -> Iterator[dict[str, str]]:
    """The tags of a run in this process, which counts as lost when the process is no more."""
    with mark_alive(workspace, run_id):
        yield {IN_PROCESS: str(workspace.root)}


def free_lost_runs(workspace: Workspace, instance: dg.DagsterInstance, *, no_ui_lives: bool = False) -> list[str]:
    """Report lost runs as failed and free the slots of all that have ended; returns the lost runs' ids.

    Whether a run of the UI is lost is its code server's business; only when no UI lives they all are.
    """
    lost = [
        run
        for run in instance.get_runs(dg.RunsFilter(statuses=UNFINISHED))
        if (_is_lost(workspace, run) if IN_PROCESS in run.tags else no_ui_lives)
    ]
    for run in lost:
        instance.report_run_failed(run, "The process of this run was killed. Run it again: it goes on where it was.")
    for run_id in instance.event_log_storage.get_concurrency_run_ids():
        holder = instance.get_run_by_id(run_id)
        if holder is None or holder.is_finished:
            instance.event_log_storage.free_concurrency_slots_for_run(run_id)
    return [run.run_id for run in lost]


def _is_lost(workspace: Workspace, run: dg.DagsterRun) -> bool:
    return run.tags[IN_PROCESS] == str(workspace.root) and not is_alive(workspace, run.run_id)


def build_lost_runs_sensor(workspace: Workspace) -> dg.SensorDefinition:
    """The UI's watch: without it a run that was killed would hold up the next one in the UI."""

    @dg.sensor(
        name="free_lost_runs",
        minimum_interval_seconds=15,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Marks runs whose process was killed as failed and frees their pool slots.",
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        lost = free_lost_runs(workspace, context.instance)
        return dg.SkipReason(f"lost: {', '.join(lost)}" if lost else "no run was lost")

    return sensor
