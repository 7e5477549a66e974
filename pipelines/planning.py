"""`growset plan`: what an expansion would do and cost, as text, before anything is spent."""

import numpy as np

from ops.chain.running import validate
from ops.datasets.sources import load_source_spec, read_source
from ops.parallel import available_cores
from ops.plan import estimate_bytes, plan_expansion
from ops.recipe.stages import STAGES
from ops.versioning import address, changed_stages, stage_addresses
from ops.workspace import Workspace


def describe_plan(workspace: Workspace, expansion: str) -> str:
    """Images per class, bytes, seconds per stage that is not current. Reads the source, writes nothing."""
    from ops.estimate import estimate_seconds

    recipe = validate(workspace, expansion)
    data = recipe.data
    splits = read_source(
        load_source_spec(workspace.source_path(recipe.source)),
        classes=data.classes,
        per_class=data.images_per_class,
        seed=recipe.seed,
    )
    train = splits["train"]
    counts = np.bincount(train.labels, minlength=len(train.class_names))
    plan = plan_expansion(counts, train.class_names, recipe.plan)
    height, width, channels = train.images.shape[1:]
    workers = available_cores()
    seconds = estimate_seconds(
        recipe, plan, (height, width, channels), test_images=len(splits["test"]), workers=workers
    )
    changed = changed_stages(workspace.root, stage_addresses(expansion))
    stale = [stage for stage in STAGES if address(stage, expansion) in changed]
    name_width = max(len(entry.name) for entry in plan.classes)
    lines = [
        f"{expansion}: {len(train)} real images of {height}x{width}x{channels}, {len(plan.classes)} classes,"
        f" {len(splits['validation'])} for validation, {len(splits['test'])} for test",
        "",
        f"  {'class':<{name_width}} {'real':>7} {'wanted':>8} {'drawn':>8}",
        *(f"  {c.name:<{name_width}} {c.real:>7} {c.wanted:>8} {c.drawn:>8}" for c in plan.classes),
        f"  {'total':<{name_width}} {len(train):>7} {plan.wanted:>8} {plan.drawn:>8}",
        "",
        f"  generated images: {estimate_bytes(plan, (height, width, channels)) / 1e6:.1f} MB",
        "",
        f"  seconds on this machine as busy as it is now, {workers} cores:",
        *(
            f"  {stage:<22} {value:>7.0f}{'' if stage in stale else '   (current, will be skipped)'}"
            for stage, value in seconds.items()
        ),
        f"  {'to do':<22} {sum(v for s, v in seconds.items() if s in stale):>7.0f}",
    ]
    return "\n".join(lines)
