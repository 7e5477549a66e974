"""Dagster's history stays bounded, and keeps every run in which an asset was last made."""

import json
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test

from assets.place import EXPANSION
from ops.files.manifests import PUBLISHED
from ops.workspaces.workspace import Workspace
from pipelines.cli.serving import _tidy_history
from pipelines.history import prune_history
from pipelines.instance import open_instance


def run_once(instance: dg.DagsterInstance, asset: str, expansion: str, **metadata: str) -> str:
    @dg.asset(key=[expansion, asset])
    def made() -> dg.MaterializeResult:
        return dg.MaterializeResult(metadata=metadata)

    result = dg.materialize([made], instance=instance, tags={EXPANSION: expansion})
    return result.run_id


def test_old_runs_are_deleted_but_the_last_of_each_asset_is_kept(fresh_workspace: Path) -> None:
    workspace = Workspace(fresh_workspace)
    home = fresh_workspace / ".growset" / "dagster"
    with open_instance(workspace) as instance:
        first = run_once(instance, "real_images", "digits")
        gone = [run_once(instance, "verdict", "digits") for _ in range(3)]
        tagged = run_once(instance, PUBLISHED, "digits", tag="digits/v1")
        gone.append(run_once(instance, PUBLISHED, "digits"))
        foreign, others = (  # of no active expansion
            [run_once(instance, "verdict", "other") for _ in range(count)] for count in (1, 2)
        )
        kept = [run_once(instance, asset, "digits") for asset in (PUBLISHED, "verdict")]
        assert prune_history(workspace, instance, kept=6, slack=2) == 0
        assert prune_history(workspace, instance, kept=2, slack=2) == len([*gone, *foreign])
        left = {first, tagged, *others, *kept}
        assert {run.run_id for run in instance.get_runs()} == left
        files = {path.name.partition(".")[0] for path in (home / "history" / "runs").glob("*.db*")}
        assert files - {"index"} <= left and not files & {*foreign, *gone}
        for asset, run_id in (("real_images", first), ("verdict", kept[-1])):
            event = instance.get_latest_materialization_event(dg.AssetKey(["digits", asset]))
            assert event is not None and event.run_id == run_id
        assert prune_history(workspace, instance, kept=2, slack=0) == 0


@pytest.mark.parametrize("key", ["storage", "schedule_storage"])
def test_a_history_whose_place_dagster_yaml_names_is_left_alone(
    fresh_workspace: Path, tmp_path: Path, key: str
) -> None:
    """As a database is, which other workspaces may share: no run of theirs is deleted, or reported as lost."""
    shared = {"base_dir": str(tmp_path / "shared")}
    module = {"module": "dagster._core.storage.schedules.sqlite", "class": "SqliteScheduleStorage", "config": shared}
    with (fresh_workspace / "dagster.yaml").open("a") as file:
        file.write(f"\n{key}: {json.dumps({'sqlite': shared} if key == 'storage' else module)}\n")
    workspace = Workspace(fresh_workspace)
    with open_instance(workspace) as instance:
        theirs = [run_once(instance, "verdict", "theirs") for _ in range(2)]
        theirs.append(create_run_for_test(instance, status=dg.DagsterRunStatus.STARTED).run_id)
        assert prune_history(workspace, instance, kept=1, slack=0) == 0
        assert {run.run_id for run in instance.get_runs()} == set(theirs)
    _tidy_history(workspace)
    with open_instance(workspace) as instance:
        assert instance.get_runs_count(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])) == 1


def test_a_history_elsewhere_is_left_alone(fresh_workspace: Path, tmp_path: Path) -> None:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        run_once(instance, "verdict", "digits")
        run_once(instance, "verdict", "digits")
        assert prune_history(Workspace(fresh_workspace), instance, kept=1, slack=0) == 0
        assert instance.get_runs_count() == 2
