"""Prune Dagster's history of a workspace, because a run of the whole chain takes about 0.7 MB.

Kept are the newest runs of each expansion (`history` in params.yaml), which are the past that an asset's page plots,
every run in which an asset was last made, so that the UI still shows all outputs, and every run that tagged a
publication.
"""

import shutil
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import dagster as dg

from assets.place import EXPANSION
from assets.published import TAG
from ops.files.manifests import PUBLISHED
from ops.recipe.stages import STAGES
from ops.workspaces.locks import one_pruner
from ops.workspaces.names import SOURCES
from ops.workspaces.workspace import Workspace
from pipelines.instance import is_history_inside
from pipelines.lost_runs import WAITING

SLACK = 10  # further runs of an expansion before anything is deleted, so that not every run prunes
PAGE = 100  # publications read at once
FINISHED = [status for status in dg.DagsterRunStatus if status not in WAITING]


def prune_history(
    workspace: Workspace, instance: dg.DagsterInstance, kept: int | None = None, slack: int = SLACK
) -> int:
    """Delete old finished runs; returns how many. `kept` of each expansion stay, by default what params.yaml says.

    Runs of inactive expansions, and of several at once, count together. Nothing is deleted from a history outside the
    workspace, such as a database: it may hold that of other workspaces too. UserError if params.yaml says it wrongly.
    """
    if not is_history_inside(workspace, instance):
        return 0
    kept = workspace.kept_runs if kept is None else kept
    if not _has_more(workspace, instance, kept + slack):
        return 0
    with one_pruner(workspace):
        return _prune(workspace, instance, kept)


def _has_more(workspace: Workspace, instance: dg.DagsterInstance, limit: int) -> bool:
    """Whether an expansion has more finished runs than `limit`, or those of no active expansion are more."""
    total = instance.get_runs_count(dg.RunsFilter(statuses=FINISHED))
    if total <= limit:
        return False
    counts = [
        instance.get_runs_count(dg.RunsFilter(statuses=FINISHED, tags={EXPANSION: name}))
        for name in workspace.expansions
    ]
    return max([*counts, total - sum(counts)]) > limit


def _prune(workspace: Workspace, instance: dg.DagsterInstance, kept: int) -> int:
    home, needed, active = Path(instance.root_directory), _find_needed(workspace, instance), set(workspace.expansions)
    runs = defaultdict(list)  # by expansion, the newest first
    for run in instance.get_runs(dg.RunsFilter(statuses=FINISHED)):
        name = run.tags.get(EXPANSION)
        runs[name if name in active else None].append(run.run_id)
    old = [run_id for ids in runs.values() for run_id in ids[kept:] if run_id not in needed]
    for run_id in old:
        instance.delete_run(run_id)
        for path in (home / "history" / "runs").glob(f"{run_id}.db*"):
            path.unlink(missing_ok=True)
        if (folder := home / "storage" / run_id).exists():  # logs, and small values between steps
            shutil.rmtree(folder)
    return len(old)


def _find_needed(workspace: Workspace, instance: dg.DagsterInstance) -> set[str]:
    """Runs with the last materialization of an asset in an active expansion or of a source; tagged publications."""
    keys = [dg.AssetKey([expansion, asset]) for expansion in workspace.expansions for asset in (*STAGES, PUBLISHED)]
    keys += [key for key in instance.get_asset_keys() if key.path[0] == SOURCES]
    last = [record for key in keys for record in instance.fetch_materializations(key, limit=1).records]
    tagged = [
        record
        for expansion in workspace.expansions
        for record in _read_publications(instance, dg.AssetKey([expansion, PUBLISHED]))
        if record.asset_materialization is not None and TAG in record.asset_materialization.metadata
    ]
    return {record.run_id for record in (*last, *tagged)}


def _read_publications(instance: dg.DagsterInstance, key: dg.AssetKey) -> Iterator[dg.EventLogRecord]:
    cursor = None
    while True:
        page = instance.fetch_materializations(key, limit=PAGE, cursor=cursor)
        yield from page.records
        if not page.has_more:
            return
        cursor = page.cursor
