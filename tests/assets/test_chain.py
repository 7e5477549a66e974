"""The assets in Dagster: metadata, reuse, the graph asset's slices, and checks that are kept per expansion."""

import shutil
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus

from ops.chain.running import Chain
from ops.datasets.pixels import read_shards, write_shard
from ops.recipe.stages import PUBLISHED, STAGES
from ops.stage import read_manifest
from ops.workspace import Workspace
from pipelines.definitions import JOB, build_definitions
from pipelines.instance import open_instance
from pipelines.running import QUIET, ChainFailed, materialize_assets
from tests.workspaces import make_workspace


def latest(instance: dg.DagsterInstance, asset: str) -> dg.AssetMaterialization:
    event = instance.get_latest_materialization_event(dg.AssetKey(asset))
    assert event and event.asset_materialization
    return event.asset_materialization


def test_every_asset_was_materialized_with_numbers_and_its_contents_version(finished_workspace: Path) -> None:
    workspace = Workspace(finished_workspace)
    with open_instance(workspace) as instance:
        for stage in STAGES:
            found = latest(instance, stage)
            assert found.partition == "digits"
            content = read_manifest(workspace.output("digits", stage))["content"]
            assert found.tags["dagster/data_version"] == content[:32]
            assert found.metadata["bytes"].value > 0  # type: ignore[operator]
        assert latest(instance, PUBLISHED).metadata["remote"].value.startswith("none")  # type: ignore[union-attr]
        accepted = latest(instance, "accepted_images").metadata
        assert accepted["accepted"].value <= accepted["generated"].value  # type: ignore[operator]
        sheet = latest(instance, "real_images").metadata["contact_sheet"].value
        assert "data:image/png;base64," in str(sheet)
        page = latest(instance, "report").metadata["report"].value
        assert Path(str(page)).read_text(encoding="utf-8").startswith("<!doctype html>")


def test_materializing_again_reuses_and_says_so(finished_workspace: Path) -> None:
    chain = Chain(Workspace(finished_workspace))
    materialize_assets(chain, "digits", ["expansion_plan", "generated_images"])
    with open_instance(chain.workspace) as instance:
        for stage in ("expansion_plan", "generated_images"):
            metadata = latest(instance, stage).metadata
            assert metadata["reused"].value is True
            assert "seconds" not in metadata
        assert latest(instance, "generated_images").metadata["drawn_now"].value == 0


def test_slices_of_any_number_give_the_same_bytes(finished_workspace: Path) -> None:
    workspace = Workspace(finished_workspace)
    before = read_manifest(workspace.output("digits", "generated_images"))["content"]
    shutil.rmtree(workspace.output("digits", "generated_images"))
    materialize_assets(Chain(workspace, slices=2), "digits", ["generated_images"])
    assert read_manifest(workspace.output("digits", "generated_images"))["content"] == before
    with open_instance(workspace) as instance:
        assert latest(instance, "generated_images").metadata["drawn_now"].value == 96


def test_two_recipes_one_failing_keep_their_own_check_states(tmp_path: Path) -> None:
    root = make_workspace(tmp_path / "workspace", ("digits", "leaky"))
    shard = root / "images" / "train-00000-of-00001.parquet"
    leaked = root / "leaky_images"
    leaked.mkdir()
    for split in ("train", "validation", "test"):
        source = shard if split == "validation" else root / "images" / f"{split}-00000-of-00001.parquet"
        dataset = read_shards([source])
        rows = dataset.rows.with_columns(split=pl.lit(split))
        write_shard(
            leaked / f"{split}-00000-of-00001.parquet", type(dataset)(dataset.images, rows, dataset.class_names)
        )
    (root / "sources" / "leaky.yaml").write_text("kind: parquet\npath: ../leaky_images\nlicence: BSD-3-Clause\n")
    recipe = root / "recipes" / "leaky.yaml"
    recipe.write_text(recipe.read_text().replace("source: digits", "source: leaky"))

    chain = Chain(Workspace(root))
    materialize_assets(chain, "digits", ["real_images", "expansion_plan"])
    with pytest.raises(ChainFailed, match="splits_are_disjoint: [0-9]+ images are in more than one split"):
        materialize_assets(chain, "leaky", ["real_images", "expansion_plan"])

    key = dg.AssetCheckKey(dg.AssetKey("real_images"), "splits_are_disjoint")
    with open_instance(chain.workspace) as instance:
        states = {
            record.partition: record.status == AssetCheckExecutionRecordStatus.SUCCEEDED
            for record in instance.event_log_storage.get_asset_check_execution_history(key, limit=10)
        }
    assert states == {"digits": True, "leaky": False}
    assert chain.workspace.output("digits", "expansion_plan").exists()
    assert not chain.workspace.output("leaky", "expansion_plan").exists()  # the check kept it from running


def test_a_users_mistake_fails_the_step_with_its_sentence_and_no_retry(finished_workspace: Path) -> None:
    recipe = finished_workspace / "recipes" / "digits.yaml"
    recipe.write_text(recipe.read_text().replace("real_weight", "weight"))
    workspace = Workspace(finished_workspace)
    job = build_definitions(workspace, Chain(workspace)).resolve_job_def(JOB)
    with open_instance(workspace) as instance:
        result = job.execute_in_process(
            instance=instance,
            partition_key="digits",
            asset_selection=[dg.AssetKey("mixed_dataset")],
            run_config=QUIET,
            raise_on_error=False,
        )
    failure = next(event for event in result.all_events if event.is_step_failure)
    assert failure.step_failure_data.user_failure_data is not None
    assert "unknown key 'mix.weight'" in (failure.step_failure_data.user_failure_data.description or "")
    assert not any(event.event_type_value == "STEP_UP_FOR_RETRY" for event in result.all_events)
