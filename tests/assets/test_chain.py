"""The assets in Dagster: metadata, reuse, the graph asset's slices, and checks of each expansion."""

import shutil
import sys
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus

from ops.chain.driver import Chain
from ops.files.manifests import PUBLISHED, read_manifest
from ops.recipe.stages import STAGES
from ops.workspaces.workspace import Workspace
from pipelines.definitions import build_definitions
from pipelines.instance import open_instance
from pipelines.runs import QUIET, ChainFailed, materialize_assets


def latest(instance: dg.DagsterInstance, asset: str) -> dg.AssetMaterialization:
    event = instance.get_latest_materialization_event(dg.AssetKey(["digits", asset]))
    assert event and event.asset_materialization
    return event.asset_materialization


def test_every_asset_was_materialized_with_numbers_and_its_contents_version(finished_workspace: Path) -> None:
    workspace = Workspace(finished_workspace)
    with open_instance(workspace) as instance:
        for stage in STAGES:
            found = latest(instance, stage)
            content = read_manifest(workspace.output("digits", stage))["content"]
            assert found.tags["dagster/data_version"] == content[:32]
            assert found.metadata["bytes"].value > 0
            if sys.platform == "linux":
                assert found.metadata["peak_memory_mb"].value > 10
        assert latest(instance, PUBLISHED).metadata["remote"].value.startswith("none")
        accepted = latest(instance, "accepted_images").metadata
        assert accepted["accepted"].value <= accepted["generated"].value
        first, sheet = next(iter(latest(instance, "real_images").metadata.items()))
        assert first == "contact_sheet" and "](/growset/pictures/digits/real_images/" in str(sheet.value)
        for stage in ("verdict", "report"):
            assert latest(instance, stage).metadata["report"].value == "/growset/reports/digits"


def test_materializing_again_reuses_and_reports_it(finished_workspace: Path) -> None:
    chain = Chain(Workspace(finished_workspace))
    materialize_assets(chain, "digits", ["expansion_plan", "generated_images"])
    with open_instance(chain.workspace) as instance:
        for stage in ("expansion_plan", "generated_images"):
            metadata = latest(instance, stage).metadata
            assert metadata["reused"].value is True
            assert "seconds" not in metadata
        assert latest(instance, "generated_images").metadata["drawn_in_slices"].value == 0


def test_slices_of_any_number_give_the_same_bytes(finished_workspace: Path) -> None:
    workspace = Workspace(finished_workspace)
    before = read_manifest(workspace.output("digits", "generated_images"))["content"]
    shutil.rmtree(workspace.output("digits", "generated_images"))
    materialize_assets(Chain(workspace, slices=2), "digits", ["generated_images"])
    assert read_manifest(workspace.output("digits", "generated_images"))["content"] == before
    with open_instance(workspace) as instance:
        assert latest(instance, "generated_images").metadata["drawn_in_slices"].value == 96


def test_two_recipes_one_failing_keep_their_own_check_states(finished_workspace: Path) -> None:
    recipes = finished_workspace / "recipes"
    strict = (recipes / "digits.yaml").read_text().replace("{threshold: 0.05}", "{threshold: 1.1}")
    (recipes / "strict.yaml").write_text(strict)
    workspace = Workspace(finished_workspace)
    workspace.edit_params(expansions=["digits", "strict"])

    names = list(STAGES)
    upto = names[: names.index("mixed_dataset") + 1]
    with pytest.raises(ChainFailed, match="every_class_grows: "):
        materialize_assets(Chain(workspace), "strict", upto)

    with open_instance(workspace) as instance:
        for expansion, state in (("digits", "SUCCEEDED"), ("strict", "FAILED")):
            key = dg.AssetCheckKey(dg.AssetKey([expansion, "accepted_images"]), "every_class_grows")
            (record,) = instance.event_log_storage.get_asset_check_execution_history(key, limit=10)
            assert record.status == AssetCheckExecutionRecordStatus[state]
    assert workspace.output("digits", "mixed_dataset").exists()
    assert not workspace.output("strict", "mixed_dataset").exists()  # the check kept it from running
    with pytest.raises(ChainFailed, match="every_class_grows: "):  # and again the next time, when everything is current
        materialize_assets(Chain(workspace), "strict", ["mixed_dataset"])
    assert not workspace.output("strict", "mixed_dataset").exists()


def test_a_users_mistake_fails_the_step_with_its_sentence_and_no_retry(finished_workspace: Path) -> None:
    recipe = finished_workspace / "recipes" / "digits.yaml"
    recipe.write_text(recipe.read_text().replace("real_weight", "weight"))
    workspace = Workspace(finished_workspace)
    job = build_definitions(workspace, Chain(workspace)).resolve_job_def("expand_digits")
    with open_instance(workspace) as instance:
        result = job.execute_in_process(
            instance=instance,
            asset_selection=[dg.AssetKey(["digits", "mixed_dataset"])],
            run_config=QUIET,
            raise_on_error=False,
        )
    failure = next(event for event in result.all_events if event.is_step_failure)
    assert failure.step_failure_data.user_failure_data is not None
    assert "unknown key 'mix.weight'" in (failure.step_failure_data.user_failure_data.description or "")
    assert not any(event.event_type_value == "STEP_UP_FOR_RETRY" for event in result.all_events)
