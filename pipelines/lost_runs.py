"""Runs whose process was killed: mark them as failed in Dagster's history, and free the pool slots they still hold.

Dagster keeps slots in its database. A slot claimed by a killed run would block every later run for ever. So each
command looks for lost runs before it claims a slot, and the UI does so every few seconds.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from ops.workspaces.locks import is_alive, mark_alive, was_killed
from ops.workspaces.workspace import Workspace
from pipelines.instance import is_history_inside

IN_PROCESS = "growset/in_process"  # tag of a run outside the UI; its value is the workspace
REVIVALS = "dagster/max_retries"  # how often Dagster's daemon starts a crashed run again: `run_retries` or this tag
UNFINISHED = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
WAITING = [*UNFINISHED, dg.DagsterRunStatus.QUEUED]


@contextmanager
def announce_run(workspace: Workspace, run_id: str) -> Iterator[dict[str, str]]:
    """The tags of a run in this process, which counts as lost once the process has ended.

    Its user starts it again, not the UI's daemon.
    """
    with mark_alive(workspace, run_id):
        yield {IN_PROCESS: str(workspace.root), REVIVALS: "0"}


def free_lost_runs(workspace: Workspace, instance: dg.DagsterInstance, *, no_ui_lives: bool = False) -> list[str]:
    """Report lost runs as failed and free the slots of all ended runs; returns the lost runs' ids.

    A running UI watches its own runs, as long as its code server lives. With `no_ui_lives` all its unfinished runs
    count as lost, except those whose process is still at work.
    """
    lost = [
        run
        for run in instance.get_runs(dg.RunsFilter(statuses=UNFINISHED))
        if (
            _is_lost(workspace, instance, run)
            if IN_PROCESS in run.tags
            else was_killed(workspace, run.run_id) or (no_ui_lives and not is_alive(workspace, run.run_id))
        )
    ]
    for run in lost:
        instance.report_run_failed(
            run, "The process of this run was killed. Run it again: it continues where it stopped."
        )
    for run_id in instance.event_log_storage.get_concurrency_run_ids():
        holder = instance.get_run_by_id(run_id)
        if holder is None or holder.is_finished:
            instance.event_log_storage.free_concurrency_slots_for_run(run_id)
    return [run.run_id for run in lost]


def _is_lost(workspace: Workspace, instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Whether the process of a run outside the UI has ended.

    A history inside the workspace has its runs alone, under another name if the folder was moved or copied since.
    """
    is_own = is_history_inside(workspace, instance) or run.tags[IN_PROCESS] == str(workspace.root)
    return is_own and not is_alive(workspace, run.run_id)


def build_lost_runs_sensor(workspace: Workspace) -> dg.SensorDefinition:
    """A sensor for the UI: without it a killed run would block the next one in the UI."""

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
