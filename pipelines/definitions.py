"""The code location: for each active expansion a group of assets, its checks and a job; its source; resources."""

from collections.abc import Sequence
from pathlib import Path

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from assets.checks import build_checks
from assets.generation import STAGE as GENERATED
from assets.generation import build_generated_images
from assets.place import EXPANSION, Place, read_place
from assets.published import build_published_dataset
from assets.source import build_source
from assets.stages import build_stage_asset
from ops.chain.driver import FIRST, Chain
from ops.recipe.stages import STAGES
from ops.workspaces.names import check_name, require_distinct
from ops.workspaces.workspace import Workspace, find_workspace
from pipelines.automation import build_automation
from pipelines.io import json_io_manager
from pipelines.lost_runs import build_lost_runs_sensor
from pipelines.recording import build_recording_sensor
from pipelines.resources import ChainResource


def build_definitions(
    workspace: Workspace, chain: Chain | None = None, expansions: Sequence[str] | None = None
) -> dg.Definitions:
    """Everything Dagster needs for `expansions`, by default all active ones.

    `chain` replaces the configurable resource (command line, tests), and then no step is tried again. UserError if two
    expansions or sources have names that Dagster cannot tell apart.
    """
    names = list(dict.fromkeys(workspace.expansions if expansions is None else expansions))
    for name in names:
        check_name(name)
    require_distinct(names)
    places = [read_place(workspace, name, retries=chain is None) for name in names]
    sources = _group_by_source(places)
    require_distinct(sources, "sources")
    jobs = {place.expansion: _build_job(place) for place in places}
    schedules, sensors = build_automation(workspace, places, jobs) if chain is None else ([], [])
    return dg.Definitions(
        assets=[
            *(build_source(source, users) for source, users in sources.items()),
            *(asset for place in places for asset in _build_assets(place)),
        ],
        asset_checks=[check for place in places for check in build_checks(place)],
        jobs=list(jobs.values()),
        schedules=schedules,
        sensors=[build_lost_runs_sensor(workspace), build_recording_sensor(workspace), *sensors],
        resources={
            "chain": chain or ChainResource(workspace=str(workspace.root)),
            "io_manager": json_io_manager,
        },
        executor=dg.multiprocess_executor.configured({"start_method": {"forkserver": {}}}),
    )


def _group_by_source(places: Sequence[Place]) -> dict[str, list[Place]]:
    """The expansions of each source, in the order in which they are listed."""
    found: dict[str, list[Place]] = {}
    for place in places:
        if place.recipe is not None:
            found.setdefault(place.recipe.source, []).append(place)
    return found


def _build_assets(place: Place) -> list[dg.AssetsDefinition]:
    """One asset per stage, and the published dataset."""
    stages = [
        build_generated_images(place) if stage == GENERATED else build_stage_asset(place, stage) for stage in STAGES
    ]
    return [*stages, build_published_dataset(place)]


def _build_job(place: Place) -> UnresolvedAssetJobDefinition:
    """The job of one expansion; its runs bear the expansion's name as a tag, to find them by."""
    return dg.define_asset_job(
        place.job,
        selection=dg.AssetSelection.groups(place.group) | dg.AssetSelection.assets(*place.deps(FIRST)),
        description=f"The whole chain of {place.expansion}.",
        run_tags={EXPANSION: place.expansion},
    )


@dg.definitions
def defs() -> dg.Definitions:
    """Loaded by workspace.yaml; the workspace is $GROWSET_HOME or found from the current folder."""
    return build_definitions(find_workspace(Path.cwd()))
