"""`growset plan`: the images that an expansion would draw, and its cost, before it runs.

The first answer comes within seconds, from the source's labels and the sizes of the networks. Then the source is read,
as a run would read it, and real steps are timed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click
import numpy as np

from ops.chain.contents import read_contents
from ops.chain.driver import FIRST, validate
from ops.chain.parts.pools import open_pool
from ops.chain.real_images import describe_source, read_real
from ops.chain.updating import find_downstream
from ops.datasets.folds import LARGE
from ops.datasets.pixels import read_rows
from ops.datasets.shards import find_shards
from ops.errors import GrowsetError, UserError
from ops.files.outputs import POLICY, RESULTS
from ops.files.storage import read_json
from ops.machine.durations import describe_estimate
from ops.machine.parallel import available_cores
from ops.machine.progress import Sink, ignore
from ops.planning.cost import Images, estimate_rest, estimate_seconds
from ops.planning.counting import Counted, count_source
from ops.planning.fitting import fit_steps, scale_steps
from ops.planning.floors import describe_lack
from ops.planning.length import warn_of_length
from ops.planning.plan import ClassPlan, ExpansionPlan, estimate_bytes, plan_expansion
from ops.planning.resolution import Resolution, describe_resolution, find_resolution, warn_of_resolution
from ops.planning.speeds import Speeds, guess_speeds
from ops.planning.variants import foresee_variants, shows_variants
from ops.planning.work import Work, count_work, settle_expected
from ops.recipe.changes import change_recipe, keep_effective, write_changes
from ops.recipe.design import warn_of_seeds
from ops.recipe.prior import PoolSettings
from ops.recipe.schema import Recipe
from ops.recipe.settling import TrainingPolicy, read_policy
from ops.recipe.stages import STAGES
from ops.sources.pool import count_pool
from ops.stages.materialization import find_staleness
from ops.verdict.metric import choose_metric
from ops.workspaces.workspace import Workspace

LISTED = 20  # most classes that are printed


@dataclass(frozen=True, eq=False)
class Prospect:
    """What is known of an expansion without timing: its images, its stages that are not current, and what was chosen.

    policy: the choice of the search, if that is current. errors: of the best arm on validation, if that is known.
    pool: images of the prior's pool, before its own splits are drawn; None without a prior.
    """

    expansion: str
    recipe: Recipe
    counted: Counted
    plan: ExpansionPlan
    stale: list[str]
    policy: TrainingPolicy | None
    errors: float | None
    cores: int
    pool: int | None = None

    @property
    def resolution(self) -> Resolution:
        settings = self.recipe.verdict
        metric = settings.metric or choose_metric(self.counted.images["train"].tolist())
        images = self.counted.images
        test = images["test"] if settings.folds is None else np.sum(list(images.values()), axis=0)
        return find_resolution(test, metric, confidence=settings.confidence, errors=self.errors)

    def list_warnings(self) -> list[str]:
        """A sentence on each thing that makes a verdict or a generator unlikely."""
        lack = describe_lack(self.counted.images["train"], self.counted.class_names)
        few = None if lack is None else f"{lack}; `growset run` asks for --force"
        found = (few, warn_of_resolution(self.resolution, self.recipe.verdict.folds), self._warn_of_seeds())
        return [warning for warning in found if warning]

    def _warn_of_seeds(self) -> str | None:
        return warn_of_seeds(self.recipe.classifier.seeds, self.recipe.verdict.folds)


@dataclass(frozen=True, eq=False)
class Pace:
    """The speeds of this machine, guessed or measured, and what they mean for a recipe."""

    speeds: Speeds
    prospect: Prospect
    root: Path

    def estimate(self, recipe: Recipe, policy: TrainingPolicy | None) -> tuple[dict[str, float], float]:
        """Seconds per stage, and of all the rest."""
        seen, cores = self.prospect, self.prospect.cores
        images = Images(sum(seen.counted.totals.values()), seen.counted.totals["test"])
        work = _count_work(seen, recipe, policy)
        seconds = estimate_seconds(recipe, work, seen.plan, self.speeds, images, cores)
        return seconds, estimate_rest(seen.stale, images)


def look_ahead(workspace: Workspace, expansion: str) -> Prospect:
    """Read the recipe and the labels of its source; no image but three. UserError as a run would raise."""
    recipe = workspace.load_recipe(expansion)
    counted = count_source(describe_source(workspace, recipe), recipe.data, recipe.seed)
    return _foresee(workspace, expansion, recipe, counted)


def _foresee(workspace: Workspace, expansion: str, recipe: Recipe, counted: Counted) -> Prospect:
    plan = plan_expansion(counted.images["train"], counted.class_names, recipe.plan)
    stale = _find_stale(workspace, expansion, recipe)
    policy = errors = None
    if "training_policy" not in stale:
        policy = read_policy(read_json(workspace.output(expansion, "training_policy") / POLICY))
    if "baseline_classifiers" not in stale:
        arms = read_json(workspace.output(expansion, "baseline_classifiers") / RESULTS)["arms"]
        errors = 1 - max(arm["validation"] for arm in arms.values())
    pool = None
    if isinstance(recipe.prior, PoolSettings):
        pool = count_pool(open_pool(workspace, recipe.prior.pool, recipe.source))
    return Prospect(expansion, recipe, counted, plan, stale, policy, errors, available_cores(), pool)


def read_exactly(workspace: Workspace, seen: Prospect) -> Prospect:
    """The same after the source has been read as a run reads it; UserError or DamagedData as a run would raise."""
    recipe = validate(workspace, seen.expansion)
    if seen.counted.is_exact:
        return seen
    splits = read_real(workspace, recipe).subset.splits
    train = splits["train"]
    images = {split: np.bincount(data.labels, minlength=len(train.class_names)) for split, data in splits.items()}
    height, width, channels = train.images.shape[1:]
    counted = Counted(train.class_names, images, (height, width, channels), True)
    return _foresee(workspace, seen.expansion, recipe, counted)


def guess_pace(workspace: Workspace, seen: Prospect) -> Pace:
    """Speeds from the sizes of the networks."""
    work, shape = _count_work(seen, seen.recipe, seen.policy), _to_chw(seen.counted.shape)
    settled = settle_expected(seen.recipe, seen.policy)
    return Pace(guess_speeds(settled, work.units, shape, workspace.root, seen.cores), seen, workspace.root)


def measure_pace(workspace: Workspace, seen: Prospect, sink: Sink) -> Pace:
    """Speeds from real steps; a line of progress for each kind of them."""
    from ops.planning.timing import measure_speeds  # loads torch, after the first lines

    work, shape = _count_work(seen, seen.recipe, seen.policy), _to_chw(seen.counted.shape)
    classes = len(seen.counted.class_names)
    settled = settle_expected(seen.recipe, seen.policy)
    speeds = measure_speeds(settled, work.units, shape, classes, workspace.root, seen.cores, sink)
    return Pace(speeds, seen, workspace.root)


def describe_plan(pace: Pace) -> dict[str, Any]:
    """A plan as plain JSON."""
    seen = pace.prospect
    seconds, rest = pace.estimate(seen.recipe, seen.policy)
    resolution = seen.resolution
    long = warn_of_length(
        seen.recipe, seconds["generator"] + seconds.get("prior", 0.0), _to_chw(seen.counted.shape), pace.root
    )
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
        "to_do_seconds": rest + sum(value for stage, value in seconds.items() if stage in seen.stale),
        "stale": seen.stale,
        "smallest_effect": {
            "effect": resolution.effect,
            "metric": resolution.metric,
            "test_images": resolution.images,
            "errors": resolution.errors,
            "errors_are_assumed": resolution.is_assumed,
        },
        "warnings": [*seen.list_warnings(), *([long] if long else [])],
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
        fitted = _foresee(workspace, expansion, workspace.load_recipe(expansion), exact.counted)
        pace = replace(pace, prospect=replace(fitted, policy=None))
    found = describe_plan(pace)
    if shows_variants(pace.prospect.recipe):
        found["variants"] = _foresee_variants(workspace, pace.prospect, quiet=quiet)
    if not quiet:
        click.echo("\n".join(format_times(found, pace.prospect)))
    if learn is not None:
        found["learning_curve"] = learn(pace)
    return found


def _foresee_variants(workspace: Workspace, seen: Prospect, *, quiet: bool) -> dict[str, Any]:
    """What each arm with variants will show at the first seed, as plain JSON; printed unless `quiet`."""
    if FIRST in seen.stale:
        labels = read_real(workspace, seen.recipe).subset.splits["train"].labels
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
            f"'{expansion}': {minutes:g} minutes are too few on {pace.prospect.cores} cores; the fewest steps with"
            f" which its networks can learn take {least} minutes; lower plan.ratio or classifier.seeds, or take"
            f" --minutes {least}"
        )
    return [f"{path}: {line}" for line in write_changes(path, keep_effective(path, found))]


def format_images(seen: Prospect) -> list[str]:
    """The first part of a plan: classes, bytes, and which stages are current."""
    counted, plan, generators = seen.counted, seen.plan, seen.recipe.generator.seeds
    hidden = len(plan.classes) - LISTED
    several = f", {generators} generators, each with a set as above" if generators > 1 else ""
    width = max(len("total"), *(len(entry.name) for entry in plan.classes))
    images, about = counted.totals, "" if counted.is_exact else "about "
    size = estimate_bytes(plan, counted.shape) * generators
    current = [stage for stage in STAGES if stage not in seen.stale]
    return [
        f"{seen.expansion}: {about}{images['train']} real images of {'x'.join(map(str, counted.shape))},"
        f" {len(plan.classes)} classes, {images['validation']} for validation, {images['test']} for test",
        "",
        f"  {'class':<{width}} {'real':>7} {'wanted':>8} {'drawn':>8}",
        *(
            f"  {c.name:<{width}} {c.real:>7} {c.wanted:>8} {c.drawn:>8}" if c else f"  … {hidden:,} more"
            for c in _list_classes(plan)
        ),
        f"  {'total':<{width}} {images['train']:>7} {plan.wanted:>8} {plan.drawn:>8}",
        "",
        f"  generated images: {size / 1e6:.1f} MB{several}",
        *_describe_prior(seen),
        f"  current stages: {', '.join(current) if current else 'none'}"
        if len(current) < len(STAGES)
        else "  all stages are current; nothing is to do",
    ]


def _describe_prior(seen: Prospect) -> list[str]:
    """A line on what the prior learns from; none without one."""
    prior = seen.recipe.prior
    if not isinstance(prior, PoolSettings):
        return []
    return [f"  prior: {prior.kind}, trained on about {seen.pool:,} unlabelled images of {prior.pool}"]


def _list_classes(plan: ExpansionPlan) -> list[ClassPlan | None]:
    """The classes in their order; of many the largest and the smallest, with None for those between them."""
    if len(plan.classes) <= LISTED:
        return list(plan.classes)
    ordered = sorted(plan.classes, key=lambda entry: -entry.real)
    return [*ordered[: LISTED // 2], None, *ordered[-LISTED // 2 :]]


def format_times(found: Mapping[str, Any], seen: Prospect) -> list[str]:
    """The second part: minutes per stage, what the test images can show, and warnings."""
    stale = found["stale"]
    return [
        "",
        f"  time on this machine at its present load, {found['cores']} cores:",
        *(
            f"  {stage:<22} {describe_estimate(value):>14}{'' if stage in stale else '   (current, will be skipped)'}"
            f"{'   (at most: with a second look)' if stage == 'verdict' and found['looks'] == 2 else ''}"
            for stage, value in found["seconds"].items()
            if value > 0
        ),
        f"  {'everything else':<22} {describe_estimate(found['rest_seconds']):>14}",
        f"  {'to do':<22} {describe_estimate(found['to_do_seconds']):>14}",
        "",
        f"  {describe_resolution(seen.resolution)}",
        *(f"warning: {warning}" for warning in found["warnings"]),
    ]


def _find_stale(workspace: Workspace, expansion: str, recipe: Recipe) -> list[str]:
    """Stages that a run has to compute. What DVC alone has to record costs nothing, so it is not asked."""
    contents = read_contents(workspace, recipe) if workspace.output(expansion, FIRST).exists() else {}
    differ = [stage for stage in STAGES if find_staleness(workspace, expansion, stage, recipe, contents.get(stage))]
    downstream = find_downstream(differ)
    return [stage for stage in STAGES if stage in downstream]


def _count_work(seen: Prospect, recipe: Recipe, policy: TrainingPolicy | None) -> Work:
    folds = 1 if seen.counted.totals["validation"] >= LARGE else recipe.tuning.folds
    return count_work(recipe, seen.plan, seen.counted.shape, folds, policy)


def _to_chw(shape: tuple[int, int, int]) -> tuple[int, int, int]:
    return shape[2], shape[0], shape[1]
