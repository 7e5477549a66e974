"""`growset plan`: the images that an expansion would draw, and its cost, before it runs.

The first answer comes within seconds, from the source's labels and the sizes of the networks. Then the source is read,
as a run would read it, and real steps are timed.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import click

from ops.chain.driver import FIRST, validate
from ops.chain.real_images import read_labelled
from ops.datasets.pixels import read_rows
from ops.datasets.shards import find_shards
from ops.errors import GrowsetError, UserError
from ops.files.outputs import WORTH
from ops.files.storage import read_json
from ops.machine.durations import describe_estimate
from ops.machine.progress import Sink, ignore
from ops.planning.fitting import fit_steps, scale_steps
from ops.planning.length import warn_of_large_networks, warn_of_length
from ops.planning.plan import estimate_bytes
from ops.planning.races import describe_races
from ops.planning.variants import foresee_variants, shows_variants
from ops.planning.work import expect_policy, find_longest, settle_expected
from ops.recipe.changes import change_recipe, keep_effective, write_changes
from ops.recipe.stages import STAGES
from ops.workspaces.workspace import Workspace
from pipelines.cli.plan_text import format_images, format_steps, format_times, name_cores
from pipelines.cli.prospect import Pace, Prospect, foresee, guess_pace, look_ahead, measure_pace, read_exactly, to_chw


def describe_plan(pace: Pace) -> dict[str, Any]:
    """A plan as plain JSON."""
    seen = pace.prospect
    seconds, rest = pace.estimate(seen.recipe, seen.policy)
    resolution = seen.resolution
    long = warn_of_length(
        seen.recipe, seconds["generator"] + seconds.get("prior", 0.0), to_chw(seen.counted.shape), pace.root
    )
    large = warn_of_large_networks(seen.recipe, seconds)
    races = describe_races(settle_expected(seen.recipe, seen.policy))
    return {
        "expansion": seen.expansion,
        "shape": list(seen.counted.shape),
        "images": seen.counted.totals,
        **seen.plan.to_dict(),
        "generators": seen.recipe.generator.seeds,
        **({} if seen.pool is None else {"pool_images": seen.pool}),
        "bytes": estimate_bytes(seen.plan, seen.counted.shape) * seen.recipe.generator.seeds,
        "cores": seen.cores,
        "looks": seen.recipe.verdict.looks,
        "seconds": seconds,
        "rest_seconds": rest,
        "to_do_seconds": pace.count_rest(seconds, rest),
        **_describe_longest(pace),
        **({} if races is None else {"controller": races}),
        "stale": seen.stale,
        "smallest_effect": {
            "effect": resolution.effect,
            "metric": resolution.metric,
            "test_images": resolution.images,
            **(
                {}
                if resolution.groups is None
                else {"test_groups": resolution.groups, "effect_if_alike": resolution.alike}
            ),
            "errors": resolution.errors,
            "errors_are_assumed": resolution.is_assumed,
        },
        "warnings": [*seen.list_warnings(), *(sentence for sentence in (long, large) if sentence)],
    }


def _describe_longest(pace: Pace) -> dict[str, Any]:
    """What is to do if the search chooses its longest training; {} where it has chosen, or leaves the length alone."""
    seen = pace.prospect
    longest = find_longest(seen.recipe)
    if longest is None or seen.policy is not None:
        return {}
    return {
        "longest_steps": longest,
        "longest_to_do_seconds": pace.count_rest(*pace.estimate(seen.recipe, expect_policy(seen.recipe, longest))),
    }


def show_plan(
    workspace: Workspace,
    expansion: str,
    sink: Sink = ignore,
    *,
    minutes: float | None = None,
    learn: Callable[[Pace], dict[str, Any]] | None = None,
    quiet: bool = False,
) -> dict[str, Any]:
    """Print a first plan within seconds, then times that are measured; with `minutes`, fit the recipe to them.

    `learn` traces a learning curve after that. Returns the measured plan as plain JSON; `quiet` prints nothing on
    stdout.
    """
    try:
        seen = look_ahead(workspace, expansion)
    except GrowsetError:
        validate(workspace, expansion)  # says the same, in the words of every command
        raise
    if not quiet:
        click.echo("\n".join(format_images(seen)))
        to_do = describe_plan(guess_pace(workspace, seen))["to_do_seconds"]
        click.echo(f"\n  first estimate, from the sizes of the networks: {describe_estimate(to_do)} to do")
    sink("timing: reading the source, as a run does")
    exact = read_exactly(workspace, seen)
    if not quiet and exact.counted.totals != seen.counted.totals:
        click.echo("\n".join(["\n  now that it is read:", *format_images(exact)]))
    if minutes is not None:
        exact = replace(exact, policy=None)  # other steps choose it anew
    pace = measure_pace(workspace, exact, sink)
    if minutes is not None:
        for line in fit_minutes(workspace, pace, minutes):
            click.echo(line, err=quiet)
        fitted = foresee(workspace, expansion, workspace.load_recipe(expansion), exact.counted)
        pace = replace(pace, prospect=replace(fitted, policy=None))
    found = describe_plan(pace)
    if shows_variants(pace.prospect.recipe):
        found["variants"] = _foresee_variants(workspace, pace.prospect, quiet=quiet)
    if not quiet:
        click.echo("\n".join(format_times(found, pace.prospect)))
    if (steps := _read_steps(workspace, pace.prospect)) is not None:
        found["steps"] = steps
        if not quiet:
            click.echo("\n".join(format_steps(steps)))
    if learn is not None:
        found["learning_curve"] = learn(pace)
    return found


def _read_steps(workspace: Workspace, seen: Prospect) -> dict[str, Any] | None:
    """What would help most, by the report; None where it is not current, or its recipe does not ask for worth."""
    path = workspace.output(seen.expansion, "report") / WORTH
    if "report" in seen.stale or not path.exists():
        return None
    steps: dict[str, Any] = read_json(path)["steps"]
    return steps


def _foresee_variants(workspace: Workspace, seen: Prospect, *, quiet: bool) -> dict[str, Any]:
    """What each arm with variants will show at the first seed, as plain JSON; printed unless `quiet`."""
    if FIRST in seen.stale:
        labels = read_labelled(workspace, seen.recipe).splits["train"].labels
    else:
        labels = read_rows(find_shards(workspace.output(seen.expansion, FIRST), "train"))["label"].to_numpy()
    from ops.classifiers.variants.accounting import describe  # loads torch

    accounts = foresee_variants(settle_expected(seen.recipe, seen.policy), seen.plan, labels.copy())
    if not quiet:
        for name, account in accounts.items():
            lines = describe(account, name, seen.counted.class_names, {})
            click.echo("\n".join(["", *(f"  {line}" for line in lines)]))
    return {name: account.to_dict() for name, account in accounts.items()}


def fit_minutes(workspace: Workspace, pace: Pace, minutes: float) -> list[str]:
    """Write steps into the recipe so that its whole chain takes `minutes`; returns a line for each changed key.

    UserError if the minutes are too few for the chain with the fewest steps (`ops.planning.fitting`).
    """
    expansion, recipe = pace.prospect.expansion, pace.prospect.recipe
    path = workspace.recipe_path(expansion)
    whole = replace(pace, prospect=replace(pace.prospect, stale=list(STAGES)))

    def estimate(changes: Mapping[str, Any]) -> float:
        seconds, rest = whole.estimate(change_recipe(path, changes)[0], None)
        return sum(seconds.values()) + rest

    found = fit_steps(recipe, 60 * minutes, estimate)
    if found is None:
        least = int(estimate(scale_steps(recipe, 0.0)) // 60) + 1
        raise UserError(
            f"'{expansion}': {minutes:g} minutes are too few on {name_cores(pace.prospect.cores)}; the fewest steps"
            f" with which its networks can learn take {least} minutes; lower plan.ratio or classifier.seeds, or take"
            f" --minutes {least}"
        )
    return [f"{path}: {line}" for line in write_changes(path, keep_effective(path, found))]
