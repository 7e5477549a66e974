"""Index datasets: the rows of shards that are used, with scores and weights but without pixels (contract 4)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from ops.datasets.pixels import read_rows
from ops.files.outputs import INDEX
from ops.files.storage import replace_file

_PLACE = pl.Schema({"image_id": pl.String, "shard": pl.String, "row": pl.Int64, "label": pl.Int64})


def locate_rows(shards: Sequence[Path]) -> pl.DataFrame:
    """The columns image_id, shard (file name), row (in the shard) and label, for all images of the shards in order."""
    parts = [pl.DataFrame(schema=_PLACE)]
    for shard in shards:
        rows = read_rows([shard]).select("image_id", "label")
        parts.append(
            rows.select("image_id", pl.lit(shard.name).alias("shard"), pl.int_range(pl.len()).alias("row"), "label")
        )
    return pl.concat(parts)


def write_index(path: Path, index: pl.DataFrame) -> None:
    """Write an index as Parquet, atomically; equal frames give equal bytes."""
    with replace_file(path) as temporary:
        index.write_parquet(temporary, compression="zstd", statistics=True)


def read_index(folder: Path) -> pl.DataFrame:
    """The index of an index dataset."""
    return pl.read_parquet(folder / INDEX)
