"""The code location: for each active expansion a group of assets, its checks and a job; its source; resources."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from assets.checks import build_checks
from assets.generation import STAGE as GENERATED
from assets.generation import build_generated_images
from assets.place import EXPANSION, Place, read_place, source_key
from assets.pools import read_device
from assets.published import build_published_dataset
from assets.source import build_source
from assets.stages import build_stage_asset
from ops.chain.driver import Chain
from ops.files.hashing import hash_json
from ops.history.dvc_repository import running_under_dvc
from ops.recipe.stages import STAGES
from ops.workspaces.names import check_name, require_distinct
from ops.workspaces.workspace import Workspace, find_workspace
from pipelines.automation import build_automation
from pipelines.executor import build_executor
from pipelines.io import json_io_manager
from pipelines.lost_runs import build_lost_runs_sensor
from pipelines.recording import build_recording_sensor
from pipelines.resources import ChainResource
from pipelines.slot_waits import shorten_waits

shorten_waits()  # of runs that this process makes


def build_definitions(
    workspace: Workspace, chain: Chain | None = None, expansions: Sequence[str] | None = None
) -> dg.Definitions:
    """Everything Dagster needs for `expansions`, by default all active ones.

    `chain` replaces the configurable resource (command line, tests), and then no step is tried again. UserError if two
    expansions or sources have names that Dagster cannot tell apart.

    A stage of `dvc repro` waits for no other run: a step of the UI may hold a slot while DVC must record its output,
    which waits for `dvc repro`, so both would wait for ever.
    """
    device = read_device() if chain is None else chain.runtime.device
    how = {"retries": chain is None, "device": device, "pooled": not running_under_dvc()}
    places = _read_places(workspace, expansions, **how)
    sources = _group_by_source(places)
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
            "chain": chain or ChainResource(workspace=str(workspace.root), device=device),
            "io_manager": json_io_manager,
        },
        executor=build_executor(workspace),
    )


def describe_definitions(workspace: Workspace) -> tuple[dict[str, str | None], list[str]]:
    """A digest of all that each expansion's definitions are built from, and the mistakes in recipes.

    The digest of an expansion whose recipe is wrong is None. UserError if there would be no definitions at all.
    """
    places = _read_places(workspace)
    return {place.expansion: _digest(place) for place in places}, [place.fault for place in places if place.fault]


def _digest(place: Place) -> str | None:
    if place.recipe is None:
        return None
    return hash_json([dict(place.versions), place.owners, place.recipe.model_dump(mode="json")])


def _read_places(workspace: Workspace, expansions: Sequence[str] | None = None, **how: Any) -> list[Place]:
    """What the definitions are built from; UserError for names that Dagster does not allow or cannot tell apart.

    `how`: keyword arguments of `read_place`.
    """
    names = list(dict.fromkeys(workspace.expansions if expansions is None else expansions))
    for name in names:
        check_name(name)
    require_distinct(names)
    places = [read_place(workspace, name, **how) for name in names]
    require_distinct(_group_by_source(places), "sources")
    return places


def _group_by_source(places: Sequence[Place]) -> dict[str, list[Place]]:
    """The expansions of each source and pool, in the order in which they are listed."""
    found: dict[str, list[Place]] = {}
    for place in places:
        for source in place.read_sources:
            found.setdefault(source, []).append(place)
    return found


def _build_assets(place: Place) -> list[dg.AssetsDefinition]:
    """One asset per stage, and the published dataset."""
    stages = [
        build_generated_images(place) if stage == GENERATED else build_stage_asset(place, stage) for stage in STAGES
    ]
    return [*stages, build_published_dataset(place)]


def _build_job(place: Place) -> UnresolvedAssetJobDefinition:
    """The job of one expansion; its runs bear the expansion's name as a tag, to find them by."""
    sources = [source_key(source) for source in place.read_sources]
    return dg.define_asset_job(
        place.job,
        selection=dg.AssetSelection.groups(place.group) | dg.AssetSelection.assets(*sources),
        description=f"The whole chain of {place.expansion}.",
        run_tags={EXPANSION: place.expansion},
    )


@dg.definitions
def defs() -> dg.Definitions:
    """Loaded by workspace.yaml; the workspace is $GROWSET_HOME or found from the current folder."""
    return build_definitions(find_workspace(Path.cwd()))
