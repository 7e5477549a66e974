"""`growset plan`: the images that an expansion would draw, and its cost, before it runs."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ops.chain.driver import FIRST, validate
from ops.chain.real_images import read_real, source_content
from ops.chain.updating import find_downstream
from ops.errors import UserError
from ops.files.storage import write_text
from ops.history.dvc_repository import address, changed_stages, stage_addresses
from ops.machine.parallel import available_cores
from ops.planning.plan import estimate_bytes, plan_expansion
from ops.recipe.stages import STAGES
from ops.scaffold.suggestion import edit_recipe
from ops.stages.materialization import find_staleness
from ops.workspaces.workspace import Workspace


def collect_plan(workspace: Workspace, expansion: str) -> dict[str, Any]:
    """Images per class, bytes, seconds per stage and which stages are not current. Reads the source, writes nothing."""
    from ops.planning.cost import estimate_seconds

    recipe = validate(workspace, expansion)
    splits = read_real(workspace, recipe).subset.splits
    train = splits["train"]
    counts = np.bincount(train.labels, minlength=len(train.class_names))
    plan = plan_expansion(counts, train.class_names, recipe.plan)
    height, width, channels = train.images.shape[1:]
    workers = available_cores()
    seconds = estimate_seconds(
        recipe,
        plan,
        (height, width, channels),
        root=workspace.root,
        test_images=len(splits["test"]),
        workers=workers,
    )
    changed = changed_stages(workspace.root, stage_addresses(expansion))
    stale = [
        stage
        for stage in STAGES
        if address(stage, expansion) in changed
        and not (STAGES[stage].reads_part and find_staleness(workspace, expansion, stage, recipe) is None)
    ]
    if workspace.changes:  # DVC compares the recipe's file, which does not have them
        content = source_content(workspace, recipe)
        differ = [
            stage
            for stage in STAGES
            if find_staleness(workspace, expansion, stage, recipe, content if stage == FIRST else None)
        ]
        stale = [stage for stage in STAGES if stage in find_downstream([*stale, *differ])]
    return {
        "expansion": expansion,
        "shape": [height, width, channels],
        "images": {split: len(dataset) for split, dataset in splits.items()},
        **plan.to_dict(),
        "drawn": plan.drawn,
        "generators": recipe.generator.seeds,
        "bytes": estimate_bytes(plan, (height, width, channels)) * recipe.generator.seeds,
        "cores": workers,
        "looks": recipe.verdict.looks,
        "seconds": seconds,
        "stale": stale,
    }


def fit_minutes(workspace: Workspace, expansion: str, minutes: float) -> str:
    """Set generator.steps in the recipe so that fitting all generators takes `minutes`; returns a sentence about it.

    UserError if the kind is not trained, or if the minutes are too few for the work after training.
    """
    from ops.generators.registry import KINDS

    recipe = validate(workspace, expansion)
    settings = recipe.generator
    if not hasattr(settings, "steps"):
        raise UserError(f"'{expansion}': a generator of kind {settings.kind} is not trained; --minutes has no effect")
    train = read_real(workspace, recipe).subset.splits["train"]
    height, width, channels = train.images.shape[1:]
    shape, classes = (channels, height, width), len(train.class_names)
    cost = KINDS[settings.kind].estimate(settings, recipe.sampler, shape, classes, workspace.root)
    fixed = cost.fit_seconds - settings.steps * cost.step_seconds
    steps = round_steps((60 * minutes / settings.seeds - fixed) / cost.step_seconds)
    if steps < 1:
        raise UserError(
            f"'{expansion}': {minutes:g} minutes are too few: the work after training takes"
            f" {fixed * settings.seeds:.0f} seconds"
        )
    path = workspace.recipe_path(expansion)
    try:
        text = edit_recipe(path.read_text(encoding="utf-8"), {"generator.steps": steps})
    except KeyError:
        raise UserError(f"{path} has no generator.steps; add the line `steps: {steps}` under generator:") from None
    write_text(path, text)
    each = f"{cost.step_seconds * 1000:.0f} ms each" + (f", {settings.seeds} generators" if settings.seeds > 1 else "")
    return f"{path}: generator.steps {settings.steps} -> {steps}, {each}"


def round_steps(steps: float) -> int:
    """Round down to two digits, the precision of the measurement."""
    if steps < 1:
        return 0
    digit = 10 ** max(0, math.floor(math.log10(steps)) - 1)
    return int(steps // digit * digit)


def format_plan(found: Mapping[str, Any]) -> str:
    """The plan as text."""
    classes, images, seconds, stale = (found[key] for key in ("classes", "images", "seconds", "stale"))
    several = f", {found['generators']} generators, each with a set as above" if found["generators"] > 1 else ""
    width = max(len("total"), *(len(entry["name"]) for entry in classes))
    lines = [
        f"{found['expansion']}: {images['train']} real images of {'x'.join(map(str, found['shape']))},"
        f" {len(classes)} classes, {images['validation']} for validation, {images['test']} for test",
        "",
        f"  {'class':<{width}} {'real':>7} {'wanted':>8} {'drawn':>8}",
        *(f"  {c['name']:<{width}} {c['real']:>7} {c['wanted']:>8} {c['drawn']:>8}" for c in classes),
        f"  {'total':<{width}} {images['train']:>7} {found['wanted']:>8} {found['drawn']:>8}",
        "",
        f"  generated images: {found['bytes'] / 1e6:.1f} MB{several}",
        "",
        f"  seconds on this machine at its present load, {found['cores']} cores:",
        *(
            f"  {stage:<22} {value:>7.0f}{'' if stage in stale else '   (current, will be skipped)'}"
            f"{'   (at most: with a second look)' if stage == 'verdict' and found['looks'] == 2 else ''}"
            for stage, value in seconds.items()
        ),
        f"  {'to do':<22} {sum(value for stage, value in seconds.items() if stage in stale):>7.0f}",
    ]
    return "\n".join(lines)
