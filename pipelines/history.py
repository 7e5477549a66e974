"""Prune Dagster's history of a workspace, because a run of the whole chain takes about 0.7 MB.

Kept are the newest runs and every run in which an asset was last made, so that the UI still shows all outputs.
"""

import shutil
from pathlib import Path

import dagster as dg

from ops.files.manifests import PUBLISHED
from ops.recipe.stages import STAGES
from ops.workspaces.locks import one_pruner
from ops.workspaces.names import SOURCES
from ops.workspaces.workspace import Workspace
from pipelines.instance import is_history_inside
from pipelines.lost_runs import UNFINISHED

KEPT = 100  # runs
SLACK = 10  # further runs before anything is deleted, so that not every run prunes
FINISHED = [status for status in dg.DagsterRunStatus if status not in (*UNFINISHED, dg.DagsterRunStatus.QUEUED)]


def prune_history(workspace: Workspace, instance: dg.DagsterInstance, kept: int = KEPT, slack: int = SLACK) -> int:
    """Delete finished runs except the newest `kept` and those in which assets were last made; returns how many.

    Nothing is deleted from a history outside the workspace: it may hold that of other workspaces too.
    """
    home = Path(instance.root_directory)
    if not is_history_inside(workspace, instance) or instance.get_runs_count(_finished()) <= kept + slack:
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
    """Runs with the last materialization of an asset in an active expansion, or of a source."""
    keys = [dg.AssetKey([expansion, asset]) for expansion in workspace.expansions for asset in (*STAGES, PUBLISHED)]
    keys += [key for key in instance.get_asset_keys() if key.path[0] == SOURCES]
    records = [record for key in keys for record in instance.fetch_materializations(key, limit=1).records]
    return {record.run_id for record in records}
