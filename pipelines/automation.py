"""Runs that start by themselves, as an expansion's recipe asks for them in `automation:`: a schedule and two sensors.

All are off until someone switches them on in the UI. A tick looks at the source and at manifests; it computes nothing,
downloads nothing and reads no pixel, and it says why it starts a run or does not.
"""

import os
import time
from collections.abc import Mapping, Sequence

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from assets.place import AUTOMATED, EXPANSION, PUBLISH, Place
from ops.chain.outdated import find_outdated
from ops.chain.triggers import Last, Seen, Step, decide_arrival, decide_change, decide_schedule, read_seen
from ops.chain.watch_source import list_source, measure_source, read_watched
from ops.errors import GrowsetError
from ops.files.hashing import hash_json
from ops.recipe.automation import AutomationSettings
from ops.recipe.stages import STAGES
from ops.workspaces.workspace import Workspace
from pipelines.alerts import build_alerts
from pipelines.lost_runs import UNFINISHED
from pipelines.run_expansions import find_expansions

INTERVAL = 60  # seconds between two looks at a source
WAITING = [*UNFINISHED, dg.DagsterRunStatus.QUEUED]


def build_automation(
    workspace: Workspace, places: Sequence[Place], jobs: Mapping[str, UnresolvedAssetJobDefinition]
) -> tuple[list[dg.ScheduleDefinition], list[dg.SensorDefinition]]:
    """The schedules and sensors of the UI: those that start runs, and the alerts. `jobs` are by expansion."""
    schedules, sensors, automated = [], [], []
    for place in places:
        if place.automation is not None:
            automated.append(place)
            if place.automation.schedule is not None:
                schedules.append(build_schedule(workspace, place, jobs[place.expansion]))
            if place.automation.on_new_images:
                sensors.append(build_arrival_sensor(workspace, place, jobs[place.expansion]))
            if place.automation.on_changed_recipe:
                sensors.append(build_change_sensor(workspace, place, jobs[place.expansion]))
    alerts = build_alerts(workspace, automated, [jobs[place.expansion] for place in automated], os.environ)
    return schedules, [*sensors, *alerts]


def build_schedule(workspace: Workspace, place: Place, job: UnresolvedAssetJobDefinition) -> dg.ScheduleDefinition:
    """At fixed times: a run, if anything is not current."""
    source, settings = _read(place)
    assert settings.schedule is not None

    @dg.schedule(
        settings.schedule,
        name=f"scheduled_{place.group}",
        job=job,
        execution_timezone=settings.timezone,
        default_status=dg.DefaultScheduleStatus.STOPPED,
        description=f"Runs the chain of {place.expansion} if images, recipe or versions have changed. The recipe sets"
        " the times.",
    )
    def scheduled(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        listing = list_source(workspace, source)
        starts, why = decide_schedule(
            listing,
            read_watched(workspace, place.expansion),
            find_last(context.instance, place),
            lambda: measure_source(workspace, source, listing),
            lambda content: _find_outdated(workspace, place.expansion, content, settings),
        )
        if not starts:
            return dg.SkipReason(why)
        context.log.info(f"{place.expansion} is run: {why}")
        return dg.RunRequest(tags=_tag(place, settings))

    return scheduled


def _find_outdated(workspace: Workspace, expansion: str, content: str, settings: AutomationSettings) -> str | None:
    """As `find_outdated`, with the recipe as it is now; one that is wrong is told by the run."""
    try:
        recipe = workspace.load_recipe(expansion)
        return find_outdated(workspace, expansion, recipe, content, settings.publish)
    except GrowsetError as error:  # a pool may be missing, too
        return str(error)


def build_arrival_sensor(workspace: Workspace, place: Place, job: UnresolvedAssetJobDefinition) -> dg.SensorDefinition:
    """When images arrive: a run, once enough of them are there and no more come."""
    source, settings = _read(place)

    @dg.sensor(
        name=f"new_images_{place.group}",
        job=job,
        minimum_interval_seconds=INTERVAL,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description=f"Runs the chain of {place.expansion} when its source `{source}` has gained or lost enough"
        " images. The recipe says how many.",
    )
    def new_images(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        listing = list_source(workspace, source)
        step = decide_arrival(
            read_seen(context.cursor),
            listing,
            read_watched(workspace, place.expansion),
            time.time(),
            settings,
            find_last(context.instance, place),
            lambda: measure_source(workspace, source, listing),
        )
        return _answer(context, place, settings, step)

    return new_images


def build_change_sensor(workspace: Workspace, place: Place, job: UnresolvedAssetJobDefinition) -> dg.SensorDefinition:
    """When the recipe or the version of a stage changes: a run, once no more is changed."""
    _, settings = _read(place)

    @dg.sensor(
        name=f"changed_recipe_{place.group}",
        job=job,
        minimum_interval_seconds=INTERVAL,
        default_status=dg.DefaultSensorStatus.STOPPED,
        description=f"Runs the chain of {place.expansion} when its recipe or the version of a stage has changed.",
    )
    def changed_recipe(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        try:
            recipe = workspace.load_recipe(place.expansion)
            signature = hash_json([recipe.model_dump(mode="json"), *map(workspace.stage_version, STAGES)])
        except GrowsetError as error:  # another sensor tells it
            return dg.SensorResult(skip_reason=str(error), cursor=context.cursor)
        step = decide_change(
            read_seen(context.cursor),
            signature,
            read_watched(workspace, place.expansion),
            time.time(),
            settings,
            find_last(context.instance, place),
            lambda content: find_outdated(workspace, place.expansion, recipe, content, settings.publish),
        )
        return _answer(context, place, settings, step)

    return changed_recipe


def _answer(
    context: dg.SensorEvaluationContext, place: Place, settings: AutomationSettings, step: Step
) -> dg.SensorResult:
    """A run where the step starts one, else why not; what was seen is remembered."""
    if not step.starts:
        return dg.SensorResult(skip_reason=step.why, cursor=step.seen.write())
    context.log.info(f"{place.expansion} is run: {step.why}")
    request = dg.RunRequest(run_key=name_run(step.seen), tags=_tag(place, settings))
    return dg.SensorResult([request], cursor=step.seen.write())


def _tag(place: Place, settings: AutomationSettings) -> dict[str, str]:
    """The tags of a run that starts by itself."""
    return {PUBLISH: settings.publish, AUTOMATED: place.expansion}


def _read(place: Place) -> tuple[str, AutomationSettings]:
    assert place.recipe is not None and place.recipe.automation is not None
    return place.recipe.source, place.recipe.automation


def name_run(seen: Seen) -> str:
    """The key of a run. Dagster starts a key once for ever, so what is as it was before needs another one."""
    return f"{seen.tried[:16]}-{seen.number}"


def find_last(instance: dg.DagsterInstance, place: Place) -> Last:
    """How the last run of assets of an expansion stands, whoever started it; one that goes on counts before later ones.

    A finished run is known by its tag. One of assets of several expansions has none; what it left undone is outdated.
    """
    if any(place.expansion in find_expansions(run) for run in instance.get_runs(dg.RunsFilter(statuses=WAITING))):
        return "unfinished"
    runs = instance.get_runs(dg.RunsFilter(tags={EXPANSION: place.expansion}), limit=1)
    if not runs:
        return "none"
    return "succeeded" if runs[0].status == dg.DagsterRunStatus.SUCCESS else "failed"
