"""The nearest other training image of each training image, by the same distance as the filters' `train_distance`.

The filters measure generated and validation images only. The result follows from the training images alone, so it is
kept under the hash of their files.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from ops.datasets.pixels import read_shards
from ops.files.storage import replace_file
from ops.machine.progress import Progress, Sink

MOST = 20_000  # training images; the search compares all pairs


def find_siblings(shards: Sequence[Path], cached: Path, *, sink: Sink, report_every: float = 2.0) -> pl.DataFrame:
    """The nearest other image of each training image, in the order of the shards.

    Columns: `nearest`, its row, and `distance`, relative; both are null for an image that is alone. The Parquet file
    `cached` is read if it exists, and written if not.
    """
    if cached.exists():
        return pl.read_parquet(cached, glob=False)
    sink("explore: comparing the training images with each other")
    import torch

    from ops.likeness.copies import BATCH, fit_references
    from ops.likeness.descriptors import describe, prepare

    images = torch.from_numpy(read_shards(shards).images).permute(0, 3, 1, 2).contiguous()
    references = fit_references(images)
    progress = Progress(sink, "explore", len(images), "training images compared", interval=report_every)
    nearest, distance = np.full(len(images), -1, np.int64), np.full(len(images), np.nan, np.float32)
    for begin in range(0, len(images), BATCH):
        own = np.arange(begin, min(begin + BATCH, len(images)))
        found = references.find_matches(prepare(describe(images[begin : begin + BATCH])), own)
        nearest[own] = found.indices[:, 0]
        distance[own] = found.distances[:, 0] / references.spacing_of(nearest[own])
        progress.update(int(own[-1]) + 1)
    known = nearest >= 0
    frame = pl.DataFrame({"nearest": nearest, "distance": distance}).with_columns(
        pl.when(pl.Series(known)).then(pl.all()).otherwise(None)
    )
    with replace_file(cached) as temporary:
        frame.write_parquet(temporary)
    return frame
