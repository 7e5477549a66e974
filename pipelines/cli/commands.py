"""The longer commands of `growset`: run, materialize, report, diff."""

import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from ops.chain.driver import FIRST, Chain, validate
from ops.chain.figures import write_figures
from ops.chain.parts.pools import open_pool
from ops.chain.real_images import describe_source, read_labelled, source_content
from ops.chain.updating import find_pending
from ops.errors import GeneratorNotUsed, UserError
from ops.files.manifests import PUBLISHED
from ops.files.outputs import REPORT, VERDICT, WORTH
from ops.files.storage import read_json, write_text
from ops.history.dvc_repository import running_under_dvc
from ops.history.figures import remove_figures
from ops.history.git import list_uncommitted
from ops.machine.durations import describe_duration
from ops.machine.interruption import at
from ops.planning.counting import count_source
from ops.planning.floors import find_lack
from ops.recipe.changes import Changes, write_changes
from ops.recipe.design import warn_of_seeds
from ops.recipe.fingerprints import list_inputs
from ops.recipe.prior import PoolSettings
from ops.recipe.schema import Recipe
from ops.recipe.stages import STAGES
from ops.sources.pool import read_pool
from ops.stages.integrity import require_intact
from ops.stages.materialization import Runtime, find_staleness
from ops.verdict.evaluation_count import read_evaluations
from ops.workspaces.locks import exclusive_run
from ops.workspaces.names import require_distinct
from ops.workspaces.workspace import Workspace, check_stage_name, suggest
from pipelines.cli.upgrading import warn_of_older

NAMED = 10  # files that are named after a run


def _write_set(workspace: Workspace, expansion: str, changes: Changes, *, err: bool = False) -> None:
    """Write `changes` into the recipe, because an output must follow from files that git and DVC track; says so."""
    if not changes:
        return
    path = workspace.recipe_path(expansion)
    for line in write_changes(path, changes):
        click.echo(f"{path}: {line}", err=err)


def run_expansion(
    workspace: Workspace,
    expansion: str,
    runtime: Runtime,
    *,
    changes: Changes,
    force: bool = False,
    quiet: bool = False,
) -> tuple[dict[str, Any], GeneratorNotUsed | None]:
    """Find the stages that are not current, from DVC and the manifests; run them, and publish.

    If everything is current, this takes seconds. `changes` are written into the recipe once it is valid with them.
    UserError for too few images, unless `force` says to go on, or a run that was forced has read them already.
    Returns `describe_result` with the stages that ran and the seconds, and why nothing was published if the generator
    is not used; `quiet` writes messages to stderr, so that stdout is free for that result.
    """
    started = time.monotonic()
    with at(f"while '{expansion}' was validated"):
        recipe = validate(replace(workspace, changes=changes), expansion)
    if not force:
        _require_enough(replace(workspace, changes=changes), expansion, recipe)
    with exclusive_run(workspace, expansion), at(f"between the stages of '{expansion}'"):
        _write_set(workspace, expansion, changes, err=quiet)
        warn_of_older(workspace)
        stale, refusal = _bring_up_to_date(workspace, expansion, recipe, runtime, quiet)
    new, changed = list_uncommitted(workspace.root)
    result = {
        **describe_result(workspace, expansion),
        "ran": stale,
        "seconds": time.monotonic() - started,
        "uncommitted": {"new": new, "changed": changed},
    }
    return result, refusal


def _require_enough(workspace: Workspace, expansion: str, recipe: Recipe) -> None:
    """UserError if there are too few images to begin with."""
    content = source_content(workspace, recipe)
    if find_staleness(workspace, expansion, FIRST, recipe, content) is None:
        return
    counted = count_source(describe_source(workspace, recipe), recipe.data, recipe.seed)
    if lack := find_lack(recipe.data, counted):
        raise UserError(f"'{expansion}': {lack}; to run it all the same: growset run {expansion} --force")


def rehearse_expansion(
    workspace: Workspace, expansion: str, runtime: Runtime, *, changes: Changes, quiet: bool = False
) -> tuple[dict[str, Any], GeneratorNotUsed | None]:
    """Run the whole chain on a few images and in few steps, in a workspace of its own; the same result as a run's.

    `changes` apply to the rehearsal alone.
    """
    from ops.scaffold.rehearsal import create_rehearsal, name_rehearsal

    started, name = time.monotonic(), name_rehearsal(expansion)
    recipe = validate(replace(workspace, changes=changes), expansion)
    with exclusive_run(workspace, name):
        train, pool = read_labelled(workspace, recipe).splits["train"], None
        named = recipe.prior.pool if isinstance(recipe.prior, PoolSettings) else recipe.data.unlabelled
        if named is not None:
            spec = open_pool(workspace, named, recipe.source)
            pool = read_pool(spec, train.images.shape[1:])
        small, lines = create_rehearsal(workspace, expansion, train, describe_source(workspace, recipe), changes, pool)
        click.echo(f"{expansion}: a rehearsal with few images and steps; it decides nothing", err=quiet)
        for line in lines:
            click.echo(f"  {line}", err=quiet)
        result, refusal = run_expansion(small, name, runtime, changes={}, force=True, quiet=quiet)
    return {**result, "rehearsal": True, "seconds": time.monotonic() - started}, refusal


def _bring_up_to_date(
    workspace: Workspace, expansion: str, recipe: Recipe, runtime: Runtime, quiet: bool
) -> tuple[list[str], GeneratorNotUsed | None]:
    """Run the stages that are not current, and publish; returns those stages, and why nothing was published."""
    from ops.chain.publishing import find_refusal, is_published

    read_evaluations(workspace)
    pending = find_pending(workspace, expansion, recipe)
    write_figures(workspace, expansion)
    for sentence in pending.damaged:
        click.echo(sentence, err=True)
    refusal = None if pending else find_refusal(workspace, expansion)
    if not pending and (refusal or is_published(workspace, expansion, recipe, sink=runtime.sink)):
        click.echo(f"{expansion}: unchanged", err=quiet)
    else:
        click.echo(f"{expansion}: {len(pending.stale)} of {len(STAGES)} stages to bring up to date", err=quiet)
        warning = warn_of_seeds(recipe.classifier.seeds, recipe.verdict.folds)
        if warning and not recipe.verdict.rehearsal:  # which decides nothing, and says so
            click.echo(f"{expansion}: {warning}", err=True)
        try:
            _materialize(Chain(workspace, runtime, validated={expansion: recipe}), expansion, pending.assets)
        except GeneratorNotUsed as found:  # every stage is current, so there is a result to show first
            refusal = found
    return list(pending.stale), refusal


def activate_recipe(workspace: Workspace, expansion: str) -> bool:
    """Add a recipe to the active expansions; returns whether it was not one of them. UserError for a mistake in it."""
    recipe = workspace.load_recipe(expansion, active=False)
    content = source_content(workspace, recipe)
    if expansion in workspace.expansions:
        return False
    require_distinct([*workspace.expansions, expansion])
    workspace.edit_params(
        expansions=lambda active: [*active, expansion] if expansion not in active else active,
        source_versions={expansion: content},
    )
    write_figures(workspace, expansion)
    return True


def deactivate_recipe(workspace: Workspace, expansion: str) -> None:
    """Take a recipe from the active expansions; its file and its data stay. UserError where it is not one of them."""
    active = workspace.expansions
    if expansion not in active:
        raise UserError(f"expansion '{expansion}' is not active; {suggest(expansion, active)}")
    workspace.edit_params(expansions=lambda active: [name for name in active if name != expansion])
    remove_figures(workspace.root, expansion)


def materialize_stage(workspace: Workspace, stage: str, expansion: str, runtime: Runtime, *, changes: Changes) -> None:
    """One asset with its checks; `changes` are written into the recipe first."""
    if stage != PUBLISHED:
        check_stage_name(stage)
    if changes and running_under_dvc():
        raise UserError("--set cannot be used in a stage of `dvc repro`, which has read the recipe already")
    with at(f"while '{expansion}' was validated"):
        recipe = validate(replace(workspace, changes=changes), expansion)
    _write_set(workspace, expansion, changes)
    with at(f"beside stage {stage} of '{expansion}'"):
        _materialize(Chain(workspace, runtime, validated={expansion: recipe}), expansion, [stage])


def _materialize(chain: Chain, expansion: str, assets: list[str]) -> None:
    from pipelines.runs import materialize_assets

    def report_check(name: str, passed: bool, sentence: str) -> None:
        if not passed:
            click.echo(f"  check failed: {name}: {sentence}", err=True)

    materialize_assets(chain, expansion, assets, report_check)


def describe_result(workspace: Workspace, expansion: str) -> dict[str, Any]:
    """The verdict with its arms, and the report's path, from the outputs on disk."""
    require_intact(workspace, expansion, ["verdict"])
    verdict = read_json(workspace.output(expansion, "verdict") / VERDICT)
    kept = (
        "decision",
        "generator_used",
        "sentence",
        "metric",
        "confidence",
        "challenger",
        "baseline",
        "arms",
        "left_out",
        "reference",
        "same_compute",
    )
    report = find_report(workspace, expansion)
    found = {"expansion": expansion, **{key: verdict[key] for key in kept}, "report": str(report)}
    worth = report.with_name(WORTH)
    return {**found, "worth": read_json(worth)} if worth.exists() else found


def show_result(result: Mapping[str, Any]) -> None:
    """Print the table of arms, other uses of the same compute, and the verdict."""
    from ops.verdict.metric import NAMES
    from ops.verdict.points import format_points
    from ops.verdict.same_compute import name_way

    ways = [(name_way(row), row) for row in result["same_compute"]]
    width = max(22, *(len(name) for name, _ in ways), *(len(row["arm"]) for row in result["arms"]))

    def show(name: str, row: Mapping[str, Any], note: str) -> None:
        score = row["score"]
        click.echo(f"  {name:<{width}} {score['estimate']:7.2%}  [{score['low']:.2%}, {score['high']:.2%}]{note}")

    click.echo(f"\n  {NAMES[result['metric']]} on the test images, {100 * result['confidence']:g} % interval")
    for row in result["arms"]:
        show(row["arm"], row, f"  (= {row['same_as']})" if row["same_as"] else "")
    for name, left in result["left_out"].items():
        behind = f"{100 * left['behind']:.1f} points behind {left['against']} on validation"
        click.echo(f"  {name:<{width}} left out after one training, {behind}")
    reference = result["reference"]
    other = f", {NAMES[reference['metric']]}" if reference["metric"] != result["metric"] else ""
    show("a linear model", reference, f"  no arm: {reference['name']}{other}")
    click.echo(f"\n  other uses of the same compute; points over {result['baseline']}")
    for name, row in ways:
        show(name, row, f"  {format_points(row['over_baseline'])}")
    click.echo(f"\n{result['sentence']}")
    if "worth" in result:
        worth = result["worth"]
        spent = worth.get("spent")  # absent from an older report
        for sentence in (*worth["sentences"], *([spent] if spent else []), worth["steps"]["sentence"]):
            click.echo(sentence)
    click.echo(f"report: {result['report']}")
    click.echo(describe_duration(result["seconds"]))
    if not result.get("rehearsal"):
        _show_uncommitted(result.get("uncommitted", {}))


def _show_uncommitted(found: Mapping[str, Sequence[str]]) -> None:
    """Name what a colleague would not get from git, the new files first."""
    for key, state in (("new", "not in git yet"), ("changed", "changed since the last commit")):
        paths = found.get(key, [])
        more = f" and {len(paths) - NAMED:,} more" if len(paths) > NAMED else ""
        if paths:
            click.echo(f"{state}: {', '.join(paths[:NAMED])}{more}")


def find_report(workspace: Workspace, expansion: str) -> Path:
    """The report's file; UserError if the expansion has none yet."""
    workspace.load_recipe(expansion)
    path = workspace.output(expansion, "report") / REPORT
    if not path.parent.exists():
        raise UserError(f"'{expansion}' has no report yet; run: growset run {expansion}")
    require_intact(workspace, expansion, ["report"])
    return path


def write_report_since(workspace: Workspace, expansion: str, since: str) -> Path:
    """Write the report with the changes from a version to the dataset published here; returns its path."""
    from ops.history.comparison import compare
    from ops.history.versions import find_version, read_contents
    from ops.report.page import collect_facts, render_page

    recipe = workspace.load_recipe(expansion)
    names = list_inputs(recipe, "report")
    require_intact(workspace, expansion, names)
    before, after = find_version(workspace, since), find_version(workspace, expansion)
    found = compare(*(read_contents(workspace, version) for version in (before, after)))
    inputs = {stage: workspace.output(expansion, stage) for stage in names}
    facts = collect_facts(workspace, expansion, inputs, recipe.report)
    path = workspace.root / ".growset" / "reports" / f"{expansion}-since-{re.sub(r'[^A-Za-z0-9._-]', '-', since)}.html"
    write_text(path, render_page(facts, found))
    return path


def compare_versions(workspace: Workspace, before: str, after: str, *, as_json: bool) -> None:
    """Print the changes between two versions."""
    from ops.history.comparison import compare
    from ops.history.versions import find_version, read_contents
    from pipelines.cli.terminal import print_comparison

    sides = [find_version(workspace, text) for text in (before, after)]
    found = compare(*(read_contents(workspace, side) for side in sides))
    if as_json:
        summary = {name: {"before": old, "after": new} for name, old, new in found.summary}
        click.echo(json.dumps({"totals": found.totals, "classes": found.classes.to_dicts(), "summary": summary}))
    else:
        print_comparison(found)
