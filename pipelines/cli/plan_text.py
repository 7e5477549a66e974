"""The words of a plan: its table of classes, its times and its warnings, line by line."""

from collections.abc import Mapping
from typing import Any

from ops.machine.durations import describe_estimate
from ops.planning.plan import ClassPlan, ExpansionPlan, estimate_bytes
from ops.planning.resolution import describe_resolution
from ops.recipe.prior import PoolSettings
from ops.recipe.stages import STAGES
from ops.verdict.points import format_points
from pipelines.cli.prospect import Prospect

LISTED = 20  # most classes that are printed
LONG = 2 * 3600  # seconds from which a plan says how to shorten a run


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
        f" {len(counted.class_names)} classes, {images['validation']} for validation, {images['test']} for test",
        *_describe_unlabelled(seen),
        "",
        f"  {'class':<{width}} {'real':>7} {'wanted':>8} {'drawn':>8}",
        *(
            f"  {c.name:<{width}} {c.real:>7} {c.wanted:>8} {c.drawn:>8}" if c else f"  … {hidden:,} more"
            for c in _list_classes(plan)
        ),
        f"  {'total':<{width}} {sum(c.real for c in plan.classes):>7} {plan.wanted:>8} {plan.drawn:>8}",
        "",
        f"  generated images: {size / 1e6:.1f} MB{several}",
        *_describe_prior(seen),
        *_describe_seeds(plan),
        f"  current stages: {', '.join(current) if current else 'none'}"
        if len(current) < len(STAGES)
        else "  all stages are current; nothing is to do",
    ]


def _describe_unlabelled(seen: Prospect) -> list[str]:
    """A line on the images without labels that are expanded; none where the labelled ones are."""
    if (name := seen.recipe.data.unlabelled) is None:
        return []
    others = sum(entry.real for entry in seen.plan.classes) - seen.counted.totals["train"]
    return [f"  expanded without labels: these training images and at most {others:,} of {name}"]


def _describe_prior(seen: Prospect) -> list[str]:
    """A line on what the prior learns from; none without one."""
    prior = seen.recipe.prior
    if not isinstance(prior, PoolSettings):
        return []
    labelled = "; a probe on it labels them for the generator" if seen.recipe.generator.labels_pool else ""
    return [f"  prior: {prior.kind}, trained on about {seen.pool:,} unlabelled images of {prior.pool}{labelled}"]


def _describe_seeds(plan: ExpansionPlan) -> list[str]:
    """A line on the images of which variants are made; none where these are all."""
    if plan.seeds == "all":
        return []
    real = sum(entry.real for entry in plan.classes)
    return [
        f"  seed images: {plan.seed_images:,} of {real:,}, of each class the third that the scorer learns worst; about"
        f" {plan.wanted / plan.seed_images:.3g} variants of each"
    ]


def _list_classes(plan: ExpansionPlan) -> list[ClassPlan | None]:
    """The classes in their order; of many the largest and the smallest, with None for those between them."""
    if len(plan.classes) <= LISTED:
        return list(plan.classes)
    ordered = sorted(plan.classes, key=lambda entry: -entry.real)
    return [*ordered[: LISTED // 2], None, *ordered[-LISTED // 2 :]]


def name_cores(cores: int) -> str:
    """`1 core`, `2 cores`."""
    return f"{cores} core{'' if cores == 1 else 's'}"


def format_times(found: Mapping[str, Any], seen: Prospect) -> list[str]:
    """The second part: minutes per stage, what the test images can show, and warnings."""
    stale = found["stale"]
    return [
        "",
        f"  time on this machine at its present load, {name_cores(found['cores'])}:",
        *(
            f"  {stage:<22} {describe_estimate(value):>14}{'' if stage in stale else '   (current, will be skipped)'}"
            f"{'   (at most: with a second look)' if stage == 'verdict' and found['looks'] == 2 else ''}"
            for stage, value in found["seconds"].items()
            if value > 0
        ),
        f"  {'everything else':<22} {describe_estimate(found['rest_seconds']):>14}",
        f"  {'to do':<22} {describe_estimate(found['to_do_seconds']):>14}{_describe_longest(found)}",
        *([f"  shorter: growset plan {seen.expansion} --minutes 60"] if found["to_do_seconds"] > LONG else []),
        *_describe_controller(found),
        "",
        f"  {describe_resolution(seen.resolution)}",
        *(f"warning: {warning}" for warning in found["warnings"]),
    ]


def format_steps(steps: Mapping[str, Any]) -> list[str]:
    """The last part, where there are results: what would help most here, as the report ranks it."""
    from ops.report.steps import NOTES  # loads scipy

    width = max(len(row["name"]) for row in steps["rows"])
    lines = ["", f"  {steps['sentence']}"]
    for row in steps["rows"]:
        gain = (
            "not measured" if row["gain"] is None else f"{format_points(row['gain'])} points on {row['where']} images"
        )
        note = f", {NOTES[row['state']]}" if NOTES.get(row["state"]) else ""
        lines.append(f"  {row['name']:<{width}}  {gain}{note}")
        lines.append(f"  {'':<{width}}  {'; '.join(part for part in (row['cost'], row['how']) if part)}")
    return lines


def _describe_controller(found: Mapping[str, Any]) -> list[str]:
    """A line on what the controller's races cost; none where no arm says auto."""
    if (races := found.get("controller")) is None:
        return []
    return [
        f"  the controller's races take {races['steps']:,} of these optimizer steps, {races['share']:.0%} of the"
        f" {races['final_steps']:,} that they prepare (at most {races['allowed']:.0%})"
        + ", and as many in each fold"
        * ("folds" in found["seconds"])
    ]


def _describe_longest(found: Mapping[str, Any]) -> str:
    """What the plan does not know: how long a training the search will choose; empty where it knows."""
    if "longest_steps" not in found:
        return ""
    longest = describe_estimate(found["longest_to_do_seconds"])
    return f"   (up to {longest} if longer training pays: `tuning` may choose {found['longest_steps']:,} steps)"
