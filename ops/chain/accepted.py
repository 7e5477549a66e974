"""Stage `accepted_images`: scores, rules, and an index of what is kept and why the rest is not."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import polars as pl
import torch

from ops.datasets.index import locate_rows, write_index
from ops.datasets.pixels import read_shards, read_split
from ops.datasets.shards import find_shards
from ops.filters.rules import REASONS, decide, score_images
from ops.parallel import use_threads
from ops.plan import ExpansionPlan
from ops.report.sheets import rows_by_class, write_sheet
from ops.scorer import load_scorer
from ops.stage import StageRun
from ops.storage import read_json


def build_accepted_images(run: StageRun) -> dict[str, Any]:
    """Score every generated image and write index.parquet; a shortfall is counted, its check fails."""
    use_threads()
    train = read_split(run.inputs["real_images"], "train")
    shards = find_shards(run.inputs["generated_images"], "generated")
    generated = read_shards(shards)
    plan = ExpansionPlan.from_dict(read_json(run.inputs["expansion_plan"] / "plan.json"))
    wanted = [entry.wanted for entry in plan.classes]
    pixels = torch.from_numpy(np.ascontiguousarray(generated.images.transpose(0, 3, 1, 2)))
    real = torch.from_numpy(np.ascontiguousarray(train.images.transpose(0, 3, 1, 2)))
    labels, settings = generated.labels, run.recipe.filter

    run.runtime.sink(f"accepted_images: scoring {len(labels)} images")
    probabilities = load_scorer(run.inputs["scorer"]).probabilities(pixels)
    scores = score_images(pixels, labels, real, probabilities, settings)
    reasons = decide(scores, labels, wanted, settings)
    keep = np.array([not why for why in reasons])

    train_ids, generated_ids = train.rows["image_id"], generated.rows["image_id"]
    index = locate_rows(shards).with_columns(
        keep=pl.Series(keep),
        reasons=pl.Series(reasons, dtype=pl.List(pl.String)),
        label_probability=pl.Series(scores.label_probability),
        predicted=pl.Series(scores.predicted),
        nearest_train_id=train_ids.gather(scores.nearest_train),
        train_distance=pl.Series(scores.train_distance),
        nearest_generated_id=pl.Series(
            [generated_ids[int(i)] if i >= 0 else None for i in scores.nearest_generated], dtype=pl.String
        ),
        generated_distance=pl.Series(scores.generated_distance),
    )
    write_index(run.out / "index.parquet", index)
    classes = len(generated.class_names)
    write_sheet(run.out / "contact_sheet.png", rows_by_class(generated.images[keep], labels[keep], classes, 12))
    kept = np.bincount(labels[keep], minlength=classes)
    shortfall = {
        name: int(want - got) for name, want, got in zip(generated.class_names, wanted, kept, strict=True) if got < want
    }
    counted = Counter(reason for why in reasons for reason in why)
    passed = len(keep) - sum(1 for why in reasons if why and why != ["surplus"])
    return {
        "generated": len(keep),
        "accepted": int(keep.sum()),
        "accept_rate": round(passed / max(1, len(keep)), 6),
        "shortfall": sum(shortfall.values()),
        "shortfall_by_class": shortfall,
        **{f"rejected_{reason}": counted[reason] for reason in REASONS},
        "mean_label_probability": round(float(scores.label_probability.mean()), 6),
        "median_train_distance": round(float(np.median(scores.train_distance)), 6),
    }
