"""Outputs that Dagster did not see being made appear with their content, and are stale exactly where they are."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
from dagster._core.loader import LoadingContextForTest
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteRepositoryOrigin
from dagster._core.test_utils import create_run_for_test

from ops.chain.driver import Chain
from ops.datasets.pixels import read_shards, write_shard
from ops.files.manifests import PUBLISHED, read_manifest
from ops.history.git import describe_head
from ops.recipe.stages import STAGES
from ops.workspaces.workspace import Workspace
from pipelines.definitions import build_definitions
from pipelines.instance import open_instance
from pipelines.recording import forget_old_keys, record_outputs
from tests.workspaces import run

ASSETS = (*STAGES, PUBLISHED)
Edit = Callable[[Path, str, str], None]


def statuses(
    workspace: Workspace, instance: dg.DagsterInstance, expansion: str = "digits"
) -> Mapping[str, StaleStatus]:
    """What the graph shows for each asset."""
    graph = build_definitions(workspace).resolve_asset_graph()
    resolver = CachingStaleStatusResolver(instance, graph, LoadingContextForTest(instance))
    return {asset: resolver.get_status(dg.AssetKey(["digits", asset])) for asset in ASSETS}


def names(keys: list[dg.AssetKey]) -> list[str]:
    return [key.path[-1] for key in keys]


@pytest.fixture
def workspace(finished_workspace: Path) -> Workspace:
    return Workspace(finished_workspace)


@pytest.fixture
def instance(workspace: Workspace) -> Iterator[dg.DagsterInstance]:
    with open_instance(workspace) as instance:
        yield instance


def test_what_a_run_made_is_known_and_fresh(workspace: Workspace, instance: dg.DagsterInstance) -> None:
    assert record_outputs(workspace, instance) == []
    assert set(statuses(workspace, instance).values()) == {StaleStatus.FRESH}


def test_a_lost_history_is_made_good(workspace: Workspace) -> None:
    shutil.rmtree(workspace.root / ".growset" / "dagster")
    with open_instance(workspace) as instance:
        assert set(statuses(workspace, instance).values()) == {StaleStatus.MISSING}
        assert [key.path for key in record_outputs(workspace, instance)] == [
            ["sources", "digits"],
            *(["digits", asset] for asset in ASSETS),
        ]
        assert set(statuses(workspace, instance).values()) == {StaleStatus.FRESH}
        assert record_outputs(workspace, instance) == []
        event = instance.get_latest_materialization_event(dg.AssetKey(["digits", "accepted_images"]))
        assert event and event.asset_materialization
        metrics = read_manifest(workspace.output("digits", "accepted_images"))["metrics"]
        assert event.asset_materialization.metadata["accepted"].value == metrics["accepted"]


def test_an_output_of_another_version_is_recorded_and_its_followers_are_stale(
    workspace: Workspace, instance: dg.DagsterInstance, edit_recipe: Edit
) -> None:
    """As `dvc checkout` leaves it: another mixture, without what follows from it."""
    other = workspace.root / "recipes" / "other.yaml"
    other.write_text((workspace.root / "recipes" / "digits.yaml").read_text().replace("weight: 4.0", "weight: 7.0"))
    workspace.edit_params(expansions=["digits", "other"])
    for stage in list(STAGES)[: list(STAGES).index("mixed_dataset")]:
        shutil.copytree(workspace.output("digits", stage), workspace.output("other", stage))
    Chain(workspace).run("other", "mixed_dataset")
    assert names(record_outputs(workspace, instance))[-1] == "mixed_dataset"
    shutil.rmtree(workspace.output("digits", "mixed_dataset"))
    shutil.copytree(workspace.output("other", "mixed_dataset"), workspace.output("digits", "mixed_dataset"))
    assert names(record_outputs(workspace, instance)) == ["mixed_dataset"]
    stale = {asset for asset, status in statuses(workspace, instance).items() if status == StaleStatus.STALE}
    assert stale == {"expanded_classifiers", "verdict", "report", PUBLISHED}


def test_new_images_in_the_source_make_the_first_asset_stale_before_it_runs(
    workspace: Workspace, instance: dg.DagsterInstance
) -> None:
    """Dagster looks one step ahead, so the others follow once that one is made."""
    shard = workspace.root / "images" / "train-00000-of-00001.parquet"
    write_shard(shard, read_shards([shard]).select(list(range(60))))
    definitions = build_definitions(workspace, Chain(workspace))
    source = definitions.resolve_assets_def(dg.AssetKey(["sources", "digits"]))
    made = dg.materialize([source], instance=instance)
    (event,) = made.get_asset_materialization_events()
    assert event.materialization.metadata["files"].value == 3
    stale = {asset for asset, status in statuses(workspace, instance).items() if status == StaleStatus.STALE}
    assert stale == {"real_images"}


def test_a_raised_version_makes_a_recorded_asset_stale(workspace: Workspace) -> None:
    shutil.rmtree(workspace.root / ".growset" / "dagster")
    with open_instance(workspace) as instance:
        record_outputs(workspace, instance)
        workspace.edit_params(stage_versions={"scorer": 9})
        assert statuses(workspace, instance)["scorer"] == StaleStatus.STALE
        assert record_outputs(workspace, instance) == []


def test_nothing_is_recorded_beside_a_run(workspace: Workspace) -> None:
    """It reports what it makes itself, later than the output appears."""
    shutil.rmtree(workspace.root / ".growset" / "dagster")
    with open_instance(workspace) as instance:
        run = create_run_for_test(instance, status=dg.DagsterRunStatus.STARTED)
        sensor = build_definitions(workspace).resolve_sensor_def("record_outputs")
        assert record_outputs(workspace, instance) == []
        tick = sensor.evaluate_tick(dg.build_sensor_context(instance=instance))
        assert tick.skip_message == "a run is unfinished; it reports its outputs itself" and tick.cursor is None
        instance.report_run_failed(run)
        tick = sensor.evaluate_tick(dg.build_sensor_context(instance=instance))
        assert (tick.skip_message or "").startswith("recorded: sources/digits, digits/real_images, ")
        tick = sensor.evaluate_tick(dg.build_sensor_context(instance=instance, cursor=tick.cursor))
        assert tick.skip_message == "no output has changed"


def test_nothing_is_noted_as_recorded_while_a_run_waits_in_the_queue(fresh_workspace: Path) -> None:
    workspace = Workspace(fresh_workspace)
    with open_instance(workspace) as instance:
        origin = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("growset"), "growset").get_job_origin(
            "expand_digits"
        )
        create_run_for_test(instance, status=dg.DagsterRunStatus.QUEUED, remote_job_origin=origin)
        sensor = build_definitions(workspace).resolve_sensor_def("record_outputs")
        tick = sensor.evaluate_tick(dg.build_sensor_context(instance=instance))
        assert tick.skip_message == "a run is unfinished; it reports its outputs itself" and tick.cursor is None


def test_a_damaged_manifest_is_passed_over(workspace: Workspace) -> None:
    shutil.rmtree(workspace.root / ".growset" / "dagster")
    (workspace.output("digits", "scorer") / "manifest.json").write_text("{")
    with open_instance(workspace) as instance:
        assert names(record_outputs(workspace, instance)) == [
            "digits",
            *(asset for asset in ASSETS if asset != "scorer"),
        ]


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"{" * path.stat().st_size)])
def test_an_output_with_a_missing_or_damaged_file_is_passed_over(
    workspace: Workspace, damage: Callable[[Path], None]
) -> None:
    """As an interrupted `dvc checkout` leaves it."""
    shutil.rmtree(workspace.root / ".growset" / "dagster")
    damage(workspace.output("digits", "verdict") / "verdict.json")
    with open_instance(workspace) as instance:
        assert "verdict" not in names(record_outputs(workspace, instance))


def test_a_publication_that_is_committed_later_is_shown_by_its_name(
    workspace: Workspace, instance: dg.DagsterInstance
) -> None:
    def read_latest() -> dict[str, str]:
        event = instance.get_latest_materialization_event(dg.AssetKey(["digits", PUBLISHED]))
        assert event and event.asset_materialization
        return {name: str(value.value) for name, value in event.asset_materialization.metadata.items()}

    root = workspace.root
    assert record_outputs(workspace, instance) == []
    assert read_latest()["version"].startswith("not committed to git") and "dvc_version" not in read_latest()
    run(root, "git", "add", "published")
    run(root, "git", "commit", "--quiet", "--message", "By hand")
    seen = describe_head(root)
    assert names(record_outputs(workspace, instance)) == [PUBLISHED]
    assert read_latest()["version"] == seen[:10]
    run(root, "git", "tag", "digits/v1")
    assert describe_head(root) != seen, "so that the sensor looks again"
    assert names(record_outputs(workspace, instance)) == [PUBLISHED]
    assert read_latest()["version"] == "digits/v1"
    assert read_latest()["dvc_version"] == f"`dvc get {root} published/digits --rev digits/v1 --out digits-v1`"
    assert record_outputs(workspace, instance) == []
    assert set(statuses(workspace, instance).values()) == {StaleStatus.FRESH}


def test_keys_of_an_older_growset_are_forgotten_once(
    workspace: Workspace, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    partitions = dg.StaticPartitionsDefinition(["digits"])

    def materialize(into: dg.DagsterInstance) -> None:
        @dg.asset(name="verdict", partitions_def=partitions)
        def old() -> None:
            pass

        dg.materialize([old], instance=into, partition_key="digits")

    materialize(instance)
    assert dg.AssetKey("verdict") in instance.get_asset_keys()
    assert forget_old_keys(workspace, instance) == 1
    assert forget_old_keys(workspace, instance) == 0
    assert set(instance.get_asset_keys()) == {
        dg.AssetKey(["sources", "digits"]),
        *(dg.AssetKey(["digits", asset]) for asset in ASSETS),
    }
    (tmp_path / "elsewhere").mkdir()
    with dg.DagsterInstance.local_temp(str(tmp_path / "elsewhere")) as foreign:
        materialize(foreign)
        assert forget_old_keys(workspace, foreign) == 0
        assert foreign.get_asset_keys() == [dg.AssetKey("verdict")]
