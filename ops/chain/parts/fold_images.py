"""The images of one fold: those of the stage `real_images`, with other splits. Pixels are only moved."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from ops.chain.real_images import store_splits
from ops.datasets.cross_validation import Pool, divide, join_images, pool_splits
from ops.datasets.pixels import PixelDataset, read_rows, read_split
from ops.datasets.shards import find_shards
from ops.datasets.units import read_groups, write_groups
from ops.errors import UserError
from ops.files.manifests import read_manifest
from ops.machine.progress import Sink
from ops.sources.listing import SPLITS
from ops.stages.materialization import StageRun


def read_pool(real: Path) -> Pool:
    """All images of a `real_images` folder; reads ids, labels and groups, no pixels. A process reads equal content
    once."""
    return _read_pool(real, read_manifest(real)["content"])


@lru_cache(maxsize=8)
def _read_pool(real: Path, content: str) -> Pool:
    """The pool of this `content` of the folder."""
    rows = {split: read_rows(find_shards(real, split)) for split in SPLITS}
    return pool_splits(rows, read_groups(real), read_manifest(real)["metrics"]["class_names"])


def divide_images(real: Path, folds: int, sink: Sink) -> tuple[list[np.ndarray], dict[str, Any]]:
    """As `divide`, with near duplicates in one fold; also how many groups of them there are, and whether that worked.

    It compares the pixels of all splits, as an audit of leaks does. If a class has too few different images then, only
    equal images and groups stay together.
    """
    from ops.inspection.duplicates import find_near  # imports torch, and the command line needs `read_pool` only

    pool = read_pool(real)
    parts = [read_split(real, split) for split in SPLITS]
    ids = [name for part in parts for name in part.rows["image_id"]]
    images = np.concatenate([part.images for part in parts])
    near = [group.rows for group in find_near(images, pool.labels, ids, sink=sink)]
    found = {"groups": len(near), "kept_together": True}
    try:
        return divide(join_images(pool, near), folds), found
    except UserError as error:
        sink(f"near duplicates are not kept together, because then: {error}")
        return divide(pool, folds), {**found, "kept_together": False}


def store_fold(run: StageRun, real: Path, codes: np.ndarray) -> dict[str, Any]:
    """Write the images of `real`, another `real_images` folder, with the splits `codes`; returns the stage's metrics.

    codes: int8 [n], the place of each image's split in SPLITS, in the order of `read_pool`.
    """
    pooled = [read_split(real, split) for split in SPLITS]
    images = np.concatenate([part.images for part in pooled])
    rows = pl.concat(part.rows for part in pooled)
    splits = {}
    for code, split in enumerate(SPLITS):
        places = np.flatnonzero(codes == code)
        named = rows[places].with_columns(split=pl.lit(split))
        splits[split] = PixelDataset(images[places], named, pooled[0].class_names)
    if units := read_groups(real):
        write_groups(run.out, units)
    return {**store_splits(run.out, splits), "conversions": {}}
