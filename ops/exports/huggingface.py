"""Format `huggingface`: the published Parquet files, card and verdict, and croissant.json.

Everything is copied byte by byte, except for the training files of a partial export: they are rewritten with the rows
that stay.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ops.datasets.shards import write_tables
from ops.exports.croissant import describe_dataset
from ops.exports.published import Published
from ops.files.storage import write_json


def write_huggingface(dataset: Published, folder: Path) -> None:
    """Fill `folder`."""
    (folder / "data").mkdir()
    for split in dataset.splits:
        if split == "train" and dataset.only != "all":
            _write_part(dataset, folder / "data")
            continue
        for shard in dataset.shards[split]:
            shutil.copyfile(shard, folder / "data" / shard.name)
        dataset.advance(dataset.counts[split])
    write_json(folder / "croissant.json", describe_dataset(dataset, folder))


def _write_part(dataset: Published, folder: Path) -> None:
    """Write the training files with the rows that stay; files without any are left out, and the rest renumbered."""
    shards = [shard for shard in dataset.shards["train"] if next(dataset.shard_batches(shard), None)]
    for index, shard in enumerate(shards):
        path = folder / f"train-{index:05d}-of-{len(shards):05d}.parquet"
        schema = pq.read_schema(shard)
        write_tables(path, schema, _tables(dataset, shard, schema))


def _tables(dataset: Published, shard: Path, schema: pa.Schema) -> Iterator[pa.Table]:
    for batch in dataset.shard_batches(shard):
        yield batch.table.select(schema.names).cast(schema)
