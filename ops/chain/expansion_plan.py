"""Stage `expansion_plan`: images wanted and drawn per class, and the seed images where these are not all."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from ops.datasets.index import write_index
from ops.datasets.pixels import read_rows, read_split
from ops.datasets.shards import find_shards
from ops.files.manifests import read_manifest
from ops.files.outputs import PLAN, SEEDS
from ops.files.storage import write_json
from ops.planning.hard_seeds import rank_seeds
from ops.planning.plan import plan_expansion, require_growth
from ops.stages.materialization import StageRun


def build_expansion_plan(run: StageRun) -> dict[str, Any]:
    """Write plan.json from the class counts of the real training images."""
    real = run.inputs["real_images"]
    names = tuple(read_manifest(real)["metrics"]["class_names"])
    labels = read_rows(find_shards(real, "train"))["label"].to_numpy()
    plan = plan_expansion(np.bincount(labels, minlength=len(names)), names, run.recipe.plan)
    require_growth(plan, run.recipe.plan)
    write_json(run.out / PLAN, plan.to_dict())
    metrics = {"images_wanted": plan.wanted, "images_drawn": plan.drawn}
    return metrics if plan.seeds == "all" else metrics | _choose_seeds(run)


def _choose_seeds(run: StageRun) -> dict[str, Any]:
    """Write seeds.parquet: the training images by how badly the scorer learns them."""
    import torch

    from ops.datasets.axes import to_nchw
    from ops.judging.scorer import load_scorer

    train, scorer = read_split(run.inputs["real_images"], "train"), load_scorer(run.inputs["scorer"])
    logits = scorer.judge_apart(torch.from_numpy(to_nchw(train.images)), scorer.folds)
    table = rank_seeds(logits, train.labels, train.rows["image_id"].to_list(), tuple(train.class_names))
    write_index(run.out / SEEDS, table)
    chosen = table.filter("chosen")
    misnamed = int((chosen["named"] != pl.Series([train.class_names[label] for label in chosen["label"]])).sum())
    run.runtime.sink(
        f"expansion_plan: variants are made of {len(chosen):,} of {len(table):,} training images, the third of each"
        f" class that the scorer learns worst; it names {misnamed:,} of them wrongly, and wrong labels are among those"
    )
    return {"seed_images": len(chosen), "seed_images_misnamed": misnamed}
