"""Stage `expansion_plan`: images wanted and drawn per class."""

from __future__ import annotations

from typing import Any

import numpy as np

from ops.datasets.pixels import read_rows
from ops.datasets.shards import find_shards
from ops.errors import UserError
from ops.files.manifests import read_manifest
from ops.files.outputs import PLAN
from ops.files.storage import write_json
from ops.planning.plan import plan_expansion
from ops.stages.materialization import StageRun


def build_expansion_plan(run: StageRun) -> dict[str, Any]:
    """Write plan.json from the class counts of the real training images."""
    real = run.inputs["real_images"]
    names = tuple(read_manifest(real)["metrics"]["class_names"])
    labels = read_rows(find_shards(real, "train"))["label"].to_numpy()
    plan = plan_expansion(np.bincount(labels, minlength=len(names)), names, run.recipe.plan)
    if not plan.drawn:
        raise UserError(f"plan.ratio {run.recipe.plan.ratio:g} adds no image to {len(labels)} real ones; raise it")
    write_json(run.out / PLAN, plan.to_dict())
    return {"images_wanted": plan.wanted, "images_drawn": plan.drawn}
