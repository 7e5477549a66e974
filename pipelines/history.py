"""Dagster's history of a workspace, kept from growing for ever: a run takes about a quarter of a megabyte.

The newest runs stay, and every run that some asset was last made in, so that the UI goes on knowing what is there.
"""

import shutil
from pathlib import Path

import dagster as dg

from ops.files.manifests import PUBLISHED
from ops.recipe.stages import STAGES
from ops.workspaces.locks import one_pruner
from ops.workspaces.workspace import Workspace
from pipelines.lost_runs import UNFINISHED

KEPT = 100  # runs
SLACK = 10  # runs more before anything is deleted, so that not every run does it
FINISHED = [status for status in dg.DagsterRunStatus if status not in (*UNFINISHED, dg.DagsterRunStatus.QUEUED)]


def prune_history(workspace: Workspace, instance: dg.DagsterInstance, kept: int = KEPT, slack: int = SLACK) -> int:
    """Delete finished runs but the newest `kept` and those that assets were last made in; returns how many.

    Nothing is deleted from a history that lies elsewhere: other workspaces may have theirs in it.
    """
    home = Path(instance.root_directory)
    if not home.is_relative_to(workspace.root) or instance.get_runs_count(_finished()) <= kept + slack:
        return 0
    with one_pruner(workspace):
        return _prune(workspace, instance, home, kept)


def _prune(workspace: Workspace, instance: dg.DagsterInstance, home: Path, kept: int) -> int:
    needed = _find_needed(workspace, instance)
    old = [run.run_id for run in instance.get_runs(_finished())[kept:] if run.run_id not in needed]
    for run_id in old:
        instance.delete_run(run_id)
        for path in (home / "history" / "runs").glob(f"{run_id}.db*"):
            path.unlink(missing_ok=True)
        if (folder := home / "storage" / run_id).exists():  # logs, and small values between steps
            shutil.rmtree(folder)
    return len(old)


def _finished() -> dg.RunsFilter:
    return dg.RunsFilter(statuses=FINISHED)


def _find_needed(workspace: Workspace, instance: dg.DagsterInstance) -> set[str]:
    """Runs with the last materialization of an asset in an active expansion."""
    needed = set()
    for asset in (*STAGES, PUBLISHED):
        for expansion in workspace.expansions:
            wanted = dg.AssetRecordsFilter(asset_key=dg.AssetKey(asset), asset_partitions=[expansion])
            needed |= {record.run_id for record in instance.fetch_materializations(wanted, limit=1).records}
    return needed
