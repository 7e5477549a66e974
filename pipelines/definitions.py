"""The code location: assets and checks over the active expansions, one job, resources, executor."""

from pathlib import Path

import dagster as dg

from assets.checks import build_checks
from assets.generation import build_generated_images
from assets.published import build_published_dataset
from assets.stages import build_stage_asset
from ops.chain.driver import Chain
from ops.recipe.stages import STAGES
from ops.workspaces.workspace import Workspace, find_workspace
from pipelines.io import json_io_manager
from pipelines.lost_runs import build_lost_runs_sensor
from pipelines.resources import ChainResource

JOB = "expand"


def build_definitions(workspace: Workspace, chain: Chain | None = None) -> dg.Definitions:
    """Everything Dagster needs; `chain` replaces the configurable resource (command line, tests)."""
    partitions = dg.StaticPartitionsDefinition(workspace.expansions)
    versions = {stage: workspace.stage_version(stage) for stage in STAGES}
    assets = [
        build_generated_images(partitions, versions)
        if stage == "generated_images"
        else build_stage_asset(stage, partitions, versions)
        for stage in STAGES
    ]
    assets.append(build_published_dataset(partitions))
    return dg.Definitions(
        assets=assets,
        asset_checks=build_checks(partitions),
        jobs=[dg.define_asset_job(JOB, selection=dg.AssetSelection.all(), description="The whole chain.")],
        sensors=[build_lost_runs_sensor(workspace)],
        resources={
            "chain": chain or ChainResource(workspace=str(workspace.root)),
            "io_manager": json_io_manager,
        },
        executor=dg.multiprocess_executor.configured({"start_method": {"forkserver": {}}}),
    )


@dg.definitions
def defs() -> dg.Definitions:
    """Loaded by workspace.yaml; the workspace is $GROWSET_HOME or found from the current folder."""
    return build_definitions(find_workspace(Path.cwd()))
