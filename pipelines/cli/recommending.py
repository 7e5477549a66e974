"""The command `growset recommend`: recipes race on validation images, and the winner alone is judged on test images."""

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import click

from ops.errors import GeneratorNotUsed, UserError
from ops.machine.durations import describe_duration
from ops.workspaces.workspace import Workspace
from pipelines.cli.options import as_json, complete_recipe, runtime_options


@click.command()
@click.argument("recipes", nargs=-1, shell_complete=complete_recipe)
@click.option(
    "--minutes",
    type=click.FloatRange(min=0, min_open=True),
    required=True,
    help="How long it may take: half of it for the race, the other half for the winner's whole run. To time this"
    " machine at first comes on top.",
)
@as_json
@runtime_options
@click.pass_obj
def recommend(
    open_workspace: Callable[[], Workspace], recipes: tuple[str, ...], minutes: float, as_json: bool, runtime: Any
) -> Callable[[], None]:
    """Race RECIPES on the same images (default: all that read those of the active expansions), and name the winner.

    Each is trained for a few steps, the better half for more, until one is left: successive halving, on validation
    images alone. The winner is run whole, with steps that fit, and judged on the test images: as a recipe that is made
    active, and published as `growset run` does. If it is stopped, the same command goes on.
    """
    result, refusal = recommend_recipe(open_workspace(), recipes, minutes, runtime, quiet=as_json)

    def finish() -> None:
        click.echo(json.dumps(result) if as_json else "\n".join(format_recommendation(result)))
        if refusal:
            raise refusal

    return finish


def recommend_recipe(
    workspace: Workspace, recipes: Sequence[str], minutes: float, runtime: Any, *, quiet: bool
) -> tuple[dict[str, Any], GeneratorNotUsed | None]:
    """The race and the winner's result as plain JSON, and why nothing was published if its generator was not used."""
    from ops.study.comparing.race import hold_race, list_rivals, open_race, record_copy, require_race, settle_plan
    from ops.verdict.evaluation_count import find_looks
    from ops.workspaces.locks import exclusive_run

    started = time.monotonic()
    names = list(recipes) or list_rivals(workspace)
    require_race(workspace, names)
    race = open_race(workspace, names, minutes)
    with exclusive_run(race, "race"):
        plan = settle_plan(race, lambda: fit_race(race, minutes, runtime))
        for name in names:
            require_free_name(workspace, name, plan[name][-1], minutes)
        winner, rungs = hold_race(race, plan, runtime, lambda: open_race(workspace, names, minutes).key)
    expansion = result = refusal = looks = None
    if winner is not None and find_gain(rungs, winner)["estimate"] > 0:
        if changes := plan[winner][-1]:
            record_copy(race, winner, name_winner(winner, changes, minutes))
        expansion = create_winner(workspace, winner, changes, minutes)
        result, refusal = run_winner(workspace, expansion, runtime, quiet=quiet)
        looks = find_looks(workspace, expansion).total
    found: dict[str, Any] = {
        "recipes": names,
        "minutes": minutes,
        "rungs": rungs,
        "winner": winner,
        "expansion": expansion,
        "result": result,
        "looks": looks,
    }
    return {**found, "sentence": tell_recommendation(found), "seconds": time.monotonic() - started}, refusal


def fit_race(race: Any, minutes: float, runtime: Any) -> dict[str, list[dict[str, Any]]]:
    """By recipe the changes to its steps in each rung and in the whole run, at the speed of this machine's CPU.

    What may make it take longer or shorter is told. UserError if the minutes are too few for the fewest steps with
    which networks can learn.
    """
    from ops.planning.floors import find_lack
    from ops.planning.work import find_longest
    from ops.recipe.stages import STAGES
    from pipelines.cli.prospect import look_ahead, measure_pace, read_exactly

    estimates = []
    if runtime.device != "cpu":
        runtime.sink(f"race: steps are timed on the CPU; on {runtime.device} the race takes less than its minutes")
    for name in race.expansions:
        seen = read_exactly(race, look_ahead(race, name))
        seen = replace(seen, policy=None, stale=list(STAGES), cores=runtime.workers)
        if longest := find_longest(seen.recipe):
            first = seen.recipe.classifier.steps
            runtime.sink(
                f"race: {name} is planned with {first:,} steps of a classifier, and its search may choose up to"
                f" {longest / first:.3g} times as many (tuning.most_steps); the race then takes longer"
            )
        if lack := find_lack(seen.recipe.data, seen.counted):
            raise UserError(f"'{name}': {lack}")
        estimates.append(Estimate(name, measure_pace(race, seen, runtime.sink), race.recipe_path(name), seen.recipe))
    return share_steps(estimates, minutes, runtime.workers)


@dataclass(frozen=True, eq=False)
class Estimate:
    """How long a recipe, whose file is `path`, takes at this machine's `pace` if no other recipe shares its stages.

    known: seconds per stage and of all the rest, by the share of its steps; a share is estimated once.
    """

    name: str
    pace: Any
    path: Path
    recipe: Any
    known: dict[float, tuple[dict[str, float], float]] = field(default_factory=dict, repr=False)

    def change(self, share: float) -> dict[str, Any]:
        """The changes with which it takes this share of its steps, but for the fewest with which networks can learn."""
        from ops.recipe.changes import keep_effective

        return keep_effective(self.path, self._scale(share))

    def count_seconds(self, share: float, *, whole: bool = True) -> float:
        """Of the chain with this share of its steps, up to the classifiers unless it is `whole`."""
        from ops.study.comparing.rungs import TRAINED

        if share not in self.known:
            self.known[share] = self._estimate(share)
        seconds, rest = self.known[share]
        return float(rest + sum(value for stage, value in seconds.items() if whole or stage in TRAINED))

    def _estimate(self, share: float) -> tuple[dict[str, float], float]:
        """Seconds per stage, and of all the rest."""
        from ops.recipe.changes import change_recipe

        changes = self._scale(share)
        found: tuple[dict[str, float], float] = self.pace.estimate(
            change_recipe(self.path, changes)[0] if changes else self.recipe, None
        )
        return found

    def _scale(self, share: float) -> dict[str, Any]:
        from ops.planning.fitting import scale_steps

        return {} if share == 1 else scale_steps(self.recipe, share)


def share_steps(estimates: Sequence[Estimate], minutes: float, cores: int) -> dict[str, list[dict[str, Any]]]:
    """The plan of a race. A rung's time has to do for the dearest of the recipes that may be left in it."""
    from ops.study.comparing.halving import find_share, share_time, size_rungs
    from pipelines.cli.plan_text import name_cores

    *budgets, last = share_time(60 * minutes, len(estimates))
    plan: dict[str, list[dict[str, Any]]] = {each.name: [] for each in estimates}
    missing = 0.0  # how many times the minutes would do

    def fit(count_seconds: Callable[[float], float], budget: float) -> float:
        nonlocal missing
        share = find_share(count_seconds, budget)
        if share is None:
            missing = max(missing, count_seconds(0.0) / budget)
        return share or 0.0

    def count_dearest(size: int, share: float) -> float:
        return sum(sorted(each.count_seconds(share, whole=False) for each in estimates)[-size:])

    for size, budget in zip(size_rungs(len(estimates)), budgets, strict=True):
        share = fit(partial(count_dearest, size), budget)
        for each in estimates:
            plan[each.name].append(each.change(share))
    for each in estimates:
        plan[each.name].append(each.change(fit(each.count_seconds, last)))
    if missing:
        needed = math.ceil(missing * minutes)
        raise UserError(
            f"{minutes:g} minutes are too few for a race of {len(estimates)} recipes on {name_cores(cores)}: with the"
            f" fewest steps with which networks can learn it takes {needed}; name fewer recipes, or take --minutes"
            f" {needed}"
        )
    return plan


def name_winner(recipe: str, changes: Mapping[str, Any], minutes: float) -> str:
    """The recipe itself where its own steps fit, else the name of its copy with fewer."""
    return f"{recipe}-{math.ceil(minutes)}min" if changes else recipe


def require_free_name(workspace: Workspace, recipe: str, changes: Mapping[str, Any], minutes: float) -> None:
    """UserError if the recipe of the winner would replace another one; the same one, of an earlier call, is fine."""
    from ops.recipe.changes import change_recipe
    from ops.recipe.loading import load_recipe

    path = workspace.recipe_path(name_winner(recipe, changes, minutes))
    if changes and path.exists() and load_recipe(path) != change_recipe(workspace.recipe_path(recipe), changes)[0]:
        raise UserError(f"{path} exists already and is another recipe; move it: '{recipe}' needs its name if it wins")


def create_winner(workspace: Workspace, recipe: str, changes: Mapping[str, Any], minutes: float) -> str:
    """Write the winner with the steps that fit, unless its own do, and make it active; returns its name."""
    from ops.scaffold.workspace import create_recipe
    from pipelines.cli.commands import activate_recipe

    name = name_winner(recipe, changes, minutes)
    if not workspace.recipe_path(name).exists():
        create_recipe(workspace, name, template=recipe, source=None, changes=changes)
    activate_recipe(workspace, name)
    return name


def run_winner(
    workspace: Workspace, name: str, runtime: Any, *, quiet: bool
) -> tuple[dict[str, Any], GeneratorNotUsed | None]:
    """The whole chain of the winner, with its verdict."""
    from pipelines.cli.commands import run_expansion

    return run_expansion(workspace, name, runtime, changes={}, force=True, quiet=quiet)


def find_gain(rungs: Sequence[Mapping[str, Any]], winner: str) -> dict[str, float]:
    """How far the winner was above the best arm without generated images, in the last rung."""
    gap: dict[str, float] = next(row["over_best"] for row in rungs[-1]["rows"] if row["recipe"] == winner)
    return gap


def tell_recommendation(found: Mapping[str, Any]) -> str:
    """The answer in sentences."""
    count, winner, last = len(found["recipes"]), found["winner"], found["rungs"][-1]
    best = f"{last['best']}, the best arm without generated images"
    if winner is None:
        return (
            f"None of these {count} recipes can be recommended: no arm of the last rung learnt from generated images."
            f" {best}, reaches {last['best_score']:.1%} on validation. No network answered a test image."
        )
    gap = find_gain(found["rungs"], winner)
    size = f"{100 * abs(gap['estimate']):.1f} points"
    error = f"standard error {100 * gap['standard_error']:.1f}, on the validation images that picked both"
    if found["expansion"] is None:
        behind = f"{size} below it" if gap["estimate"] < 0 else "no better than it"
        return (
            f"None of these {count} recipes beats {best}: {winner}, the last that is left, is {behind} in its share of"
            f" {found['minutes']:g} minutes ({error}). No network answered a test image. Longer training may turn that:"
            f" growset recommend with more --minutes, or: growset run {winner}"
        )
    looks = "1 look" if found["looks"] == 1 else f"{found['looks']:,} looks"
    return (
        f"{winner} wins the race of {count} recipes, {size} above {best} ({error}). Run whole as {found['expansion']}"
        f" and judged on the test images, with {looks} at them so far, over all recipes: {found['result']['sentence']}"
    )


def format_recommendation(found: Mapping[str, Any]) -> list[str]:
    """The rungs as tables, and the answer."""
    from ops.verdict.metric import NAMES
    from pipelines.cli.comparing_text import format_gain, tabulate

    lines = []
    for number, rung in enumerate(found["rungs"], start=1):
        best = f"over {rung['best']} ({rung['best_score']:.1%})"
        table = [["recipe", "arm", NAMES[rung["metric"]], best]]
        for row in sorted(rung["rows"], key=lambda row: math.inf if row["score"] is None else -row["score"]):
            used = row["score"] is not None
            score, gap = (f"{row['score']:.1%}", format_gain(row["over_best"])) if used else ("–", row["refusal"])
            table.append([row["recipe"], row["challenger"] or "–", score, gap])
        lines += [f"rung {number} of {len(found['rungs'])}, on validation images", *tabulate(table), ""]
    lines.append(found["sentence"])
    if found["result"] is not None:
        lines.append(f"report: {found['result']['report']}")
    return [*lines, describe_duration(found["seconds"])]
