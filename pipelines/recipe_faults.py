"""Notice recipes that ran by themselves and are wrong now: nothing of them runs, and nobody would know."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

import dagster as dg

from ops.errors import GrowsetError
from ops.workspaces.workspace import Workspace
from pipelines.telling import EVERY_MINUTE, Alert, Tell


@dataclass(frozen=True)
class State:
    """A recipe at the last look: whether it ran by itself while it was valid, its fault, and whether that is told."""

    automated: bool = False
    fault: str = ""
    told: bool = False


def build_recipe_sensor(name: str, verb: str, workspace: Workspace, tell: Tell) -> dg.SensorDefinition:
    """A sensor that tells of each such fault once, at the second look: DVC's experiments reset recipes for a moment."""

    @dg.sensor(
        name=name,
        description=f"{verb} every mistake in a recipe that had `automation:`; nothing of it runs meanwhile.",
        **EVERY_MINUTE,
    )
    def recipe_is_wrong(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        known = {name: State(**state) for name, state in json.loads(context.cursor or "{}").items()}
        try:
            now, alerts = compare_states(known, look_at_recipes(workspace, known))
        except GrowsetError as error:  # params.yaml, which lists them
            return dg.SensorResult(skip_reason=str(error))
        for alert in alerts:
            tell(alert, context.log)
        told = "; ".join(alert.text for alert in alerts) or "every recipe that runs by itself is valid"
        wrong = [f"{name}: {state.fault}" for name, state in now.items() if state.fault]
        cursor = json.dumps({name: asdict(state) for name, state in now.items()})
        return dg.SensorResult(skip_reason="; ".join(wrong) or told, cursor=cursor)

    return recipe_is_wrong


def look_at_recipes(workspace: Workspace, known: Mapping[str, State]) -> dict[str, State]:
    """The active recipes now; a wrong one keeps that it ran by itself. UserError if params.yaml is wrong."""
    found = {}
    for name in workspace.expansions:
        before = known.get(name, State())
        try:
            found[name] = State(workspace.load_recipe(name).automation is not None)
        except GrowsetError as error:
            found[name] = replace(before, fault=str(error), told=before.told and before.fault == str(error))
    return found


def compare_states(known: Mapping[str, State], now: Mapping[str, State]) -> tuple[dict[str, State], list[Alert]]:
    """The states to remember, and an alert for each fault that was there at the last look too and is not told yet."""
    states, alerts = dict(now), []
    for name, state in now.items():
        again = state.fault and name in known and known[name].fault == state.fault
        if again and state.automated and not state.told:
            text = f"{name}: its recipe is wrong, and nothing of it runs: {state.fault}"
            alerts.append(Alert("recipe_is_wrong", name, "", text))
            states[name] = replace(state, told=True)
    return states, alerts
