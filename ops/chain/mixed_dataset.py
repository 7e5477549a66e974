"""Stage `mixed_dataset`: real and accepted images with their weights, as an index over both sets."""

from __future__ import annotations

from typing import Any

import polars as pl

from ops.chain.parts.each import build_each
from ops.classifiers.sampling import real_share
from ops.datasets.index import locate_rows, read_index, write_index
from ops.datasets.shards import find_shards
from ops.files.outputs import INDEX
from ops.stages.materialization import StageRun
from ops.stages.several import count_generators


def build_mixed_dataset(run: StageRun) -> dict[str, Any]:
    """The real images with the accepted ones of each generator."""
    return build_each(run, _mix_one, count_generators(run.inputs["accepted_images"]), summed=("generated",))


def _mix_one(run: StageRun) -> dict[str, Any]:
    """Weight N for every real training image, 1 for every accepted generated one."""
    weight = run.recipe.mix.real_weight
    real = locate_rows(find_shards(run.inputs["real_images"], "train"))
    accepted = read_index(run.inputs["accepted_images"]).filter("keep")
    columns = ["image_id", "shard", "row", "label"]
    index = pl.concat(
        [
            real.select(columns).with_columns(is_generated=pl.lit(False), weight=pl.lit(weight)),
            accepted.select(columns).with_columns(is_generated=pl.lit(True), weight=pl.lit(1.0)),
        ]
    )
    write_index(run.out / INDEX, index)
    return {
        "real": len(real),
        "generated": len(accepted),
        "real_weight": weight,
        "real_share": round(real_share(weight, len(real), len(accepted)), 6),
    }
