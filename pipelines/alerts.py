"""Sensors that notice what people should know: a run that fails, which includes a check that blocks; a verdict that
turns; a recipe that is wrong. They are on from the start, and `pipelines.telling` tells.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg
from dagster._core.definitions.assets.job.asset_job import IMPLICIT_ASSET_JOB_NAME
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from assets.place import Place
from ops.errors import hide_credentials
from ops.workspaces.workspace import Workspace
from pipelines.recipe_faults import build_recipe_sensor
from pipelines.run_expansions import find_expansions
from pipelines.telling import EVERY_MINUTE, Alert, Tell, find_ways

LONGEST = 1_000  # characters of a reason


def build_alerts(
    workspace: Workspace,
    places: Sequence[Place],
    jobs: Sequence[UnresolvedAssetJobDefinition],
    environment: Mapping[str, str],
) -> list[dg.SensorDefinition]:
    """The sensors for `places`, the expansions that run by themselves, and their jobs; where there are none, whoever
    starts a run sees how it ends. UserError if the environment says wrongly whom to tell."""
    found = []
    for way in find_ways(environment):
        found.append(build_recipe_sensor(f"{way.prefix}recipe_is_wrong", way.verb, workspace, way.tell))
        if places:
            found.append(_build_failure_sensor(f"{way.prefix}run_failed", way.verb, places, jobs, way.tell))
            found.append(_build_verdict_sensor(f"{way.prefix}verdict_turned", way.verb, places, way.tell))
    return found


def _build_failure_sensor(
    name: str, verb: str, places: Sequence[Place], jobs: Sequence[UnresolvedAssetJobDefinition], tell: Tell
) -> dg.SensorDefinition:
    automated = {place.expansion for place in places}

    @dg.run_failure_sensor(
        name=name,
        monitored_jobs=[*jobs, dg.define_asset_job(IMPLICIT_ASSET_JOB_NAME)],  # the UI's, for selected assets
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"{verb} every failed run of an expansion with `automation:`, with the sentence of its fault.",
    )
    def run_failed(context: dg.RunFailureSensorContext) -> dg.SkipReason | None:
        run = context.dagster_run
        touched = sorted(find_expansions(run) & automated)
        if not touched:
            return dg.SkipReason(f"run {run.run_id} is of no expansion that runs by itself")
        why = explain_failure(context.instance, run.run_id)
        for expansion in touched:
            tell(Alert("run_failed", expansion, run.run_id, f"{expansion}: the run failed: {why}"), context.log)
        return None

    return run_failed


def explain_failure(instance: dg.DagsterInstance, run_id: str) -> str:
    """Why a run failed, in one line: the checks that block, else the first step that failed."""
    kinds = {dg.DagsterEventType.ASSET_CHECK_EVALUATION, dg.DagsterEventType.STEP_FAILURE}
    events = [entry.dagster_event for entry in instance.all_logs(run_id, of_type=kinds) if entry.dagster_event]
    blocked = []
    for event in events:
        if event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            found = event.asset_check_evaluation_data
            if not found.passed and found.blocking:
                blocked.append(f"{found.asset_key.path[-1]}: {found.check_name}: {found.description}")
    if blocked:
        return _shorten(f"a check blocks: {'; '.join(blocked)}")
    for event in events:
        if event.is_step_failure:
            data = event.step_failure_data
            told = data.user_failure_data.description if data.user_failure_data else None
            error = data.error.cause or data.error if data.error else None
            return _shorten(f"{event.step_key}: {told or (error.message if error else 'no reason is known')}")
    return "its process was ended, or it never started"


def _shorten(text: str) -> str:
    line = " ".join(hide_credentials(text).split())
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}…"


def _build_verdict_sensor(name: str, verb: str, places: Sequence[Place], tell: Tell) -> dg.SensorDefinition:
    @dg.sensor(
        name=name,
        description=f"{verb} every verdict that differs from the one before it, of an expansion with `automation:`.",
        **EVERY_MINUTE,
    )
    def verdict_turned(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        known: dict[str, Any] = json.loads(context.cursor or "{}")
        now: dict[str, Any] = {}
        turned = []
        for place in places:
            found = read_verdict(context.instance, place)
            before = known.get(place.expansion)
            now[place.expansion] = before if found is None else found.state
            if found is not None and before is not None and before != found.state:
                text = f"{place.expansion}: the verdict was {before} and is {found.state}: {found.sentence}"
                turned.append(Alert("verdict_turned", place.expansion, found.run, text))
        for alert in turned:
            tell(alert, context.log)
        told = "; ".join(alert.text for alert in turned) or "no verdict has turned"
        return dg.SensorResult(skip_reason=told, cursor=json.dumps(now))

    return verdict_turned


@dataclass(frozen=True)
class Found:
    """The verdict that a run made: its decision in words, its sentence, and the run."""

    state: str
    sentence: str
    run: str


def read_verdict(instance: dg.DagsterInstance, place: Place) -> Found | None:
    """The last verdict of an expansion in the history; None if there is none, or if no run here made it."""
    records = instance.fetch_materializations(place.key("verdict"), limit=1).records
    made = records[0].asset_materialization if records else None
    if made is None or not records[0].run_id:
        return None
    values = {name: value.value for name, value in made.metadata.items()}
    unused = "" if values.get("generator_used", True) else ", without its generator"
    return Found(f"{values.get('decision')}{unused}", str(values.get("sentence")), records[0].run_id)
