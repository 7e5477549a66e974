"""Read the images of a mixed dataset's index: real ones from one folder, generated ones from another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from ops.datasets.pixels import PixelDataset, read_shards, read_split
from ops.datasets.shards import find_shards
from ops.files.outputs import GENERATED


def read_mixed(index: pl.DataFrame, real: Path, generated: Path) -> PixelDataset:
    """The images of a mixed index, in its order: real training images first, then the accepted ones, if any."""
    train = read_split(real, "train")
    chosen = index.filter("is_generated")["image_id"]
    if chosen.is_empty():
        return train
    drawn = read_shards(find_shards(generated, GENERATED))
    order = {image_id: row for row, image_id in enumerate(drawn.rows["image_id"])}
    kept = drawn.select([order[image_id] for image_id in chosen])
    return PixelDataset(
        np.concatenate([train.images, kept.images]), pl.concat([train.rows, kept.rows]), train.class_names
    )
