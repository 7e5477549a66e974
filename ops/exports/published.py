"""Read a published dataset for an export: check it once, then stream it batch by batch.

Memory holds one batch, for a dataset of any size. This module knows the folder that publishing writes, but not the
layout of the export.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import polars as pl
import pyarrow as pa

from ops.datasets.pixels import ROW_SCHEMA
from ops.datasets.png import decode_png
from ops.datasets.shards import find_shards, iterate_batches, read_class_names, read_columns
from ops.errors import DamagedData, UserError
from ops.files.manifests import MANIFEST
from ops.files.outputs import DATA
from ops.sources.listing import SPLITS
from ops.stages.integrity import find_damage

Only: TypeAlias = Literal["all", "real", "generated"]
ONLY: tuple[Only, ...] = ("all", "real", "generated")
_BATCH_BYTES = 2**26


@dataclass(frozen=True, eq=False)
class Batch:
    """Some rows of one split with their images: `rows` has the columns of ROW_SCHEMA, `payloads` the PNG of each."""

    table: pa.Table
    rows: pl.DataFrame
    payloads: pa.BinaryArray
    where: str
    first_row: int

    def decode(self) -> np.ndarray:
        """uint8 [n, H, W, C]. Raises DamagedData with the file and the row, counted among the exported rows."""
        return decode_png(self.payloads, where=self.where, first_row=self.first_row)


@dataclass(frozen=True, eq=False)
class Published:
    """The exported part of a published dataset.

    shape: (H, W, C) of every image. shards and counts: by exported split, its files and its number of exported rows.
    advance: called with the number of rows after each batch that was read with its pixels. scores: further values of
    images by `image_id`, which formats with room for them write; None: there are none.
    """

    folder: Path
    class_names: tuple[str, ...]
    shape: tuple[int, int, int]
    shards: dict[str, list[Path]]
    counts: dict[str, int]
    only: Only
    advance: Callable[[int], None] = field(default=lambda rows: None)
    scores: pl.DataFrame | None = None

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def splits(self) -> list[str]:
        return list(self.shards)

    def batches(self, split: str) -> Iterator[Batch]:
        """The exported rows of a split in stored order; batches are never empty."""
        for shard in self.shards[split]:
            yield from self.shard_batches(shard)

    def shard_batches(self, shard: Path) -> Iterator[Batch]:
        """The exported rows of one file."""
        done = 0
        for part in iterate_batches(shard, ["image", *ROW_SCHEMA], batch_bytes=_BATCH_BYTES):
            table = _keep(pa.Table.from_batches([part]), self.only)
            if table.num_rows == 0:
                continue
            rows = pl.DataFrame(table.select(list(ROW_SCHEMA)))
            payloads = table.column("image").combine_chunks().flatten()[0]
            yield Batch(table, rows, payloads, str(shard), done)
            done += table.num_rows
            self.advance(table.num_rows)

    def rows(self, split: str) -> Iterator[pl.DataFrame]:
        """The rows of `batches`, file by file, without reading pixels."""
        for shard in self.shards[split]:
            table = _keep(read_columns(shard, list(ROW_SCHEMA)), self.only)
            if table.num_rows:
                yield pl.DataFrame(table)


def open_published(folder: Path, only: Only = "all") -> Published:
    """Check a published folder byte by byte against its manifest and find the images to export.

    `real` and `generated` restrict the training images; with `generated` no other split is exported. Raises UserError
    if there is no published dataset or no such image, DamagedData for a file that differs from its manifest.
    """
    if not (folder / MANIFEST).is_file():
        raise UserError(
            f"{folder} holds no published dataset; `growset run {folder.name}` makes it, and"
            f" `growset pull {folder.name} --only published` fetches one that was made elsewhere"
        )
    if damage := find_damage(folder):
        raise DamagedData(f"{damage}; `growset pull {folder.name} --only published` brings it back")
    shards = {split: find_shards(folder / DATA, split) for split in SPLITS}
    if only == "generated":
        shards = {"train": shards["train"]}
    counts = {split: sum(_count(path, only) for path in paths) for split, paths in shards.items()}
    if counts["train"] == 0:
        kind = "" if only == "all" else f"{only} "
        raise UserError(f"{folder} holds no {kind}training images, so there is nothing to export")
    shards = {split: paths for split, paths in shards.items() if counts[split]}
    first = shards["train"][0]
    class_names = read_class_names(first)
    if class_names is None:
        raise DamagedData(f"{first}: no class names in the metadata; it is not a pixel dataset")
    dataset = Published(folder, class_names, (0, 0, 0), shards, {split: counts[split] for split in shards}, only)
    batch = next(dataset.batches("train"))
    height, width, channels = decode_png(batch.payloads.slice(0, 1), where=batch.where).shape[1:]
    return Published(folder, class_names, (height, width, channels), shards, dataset.counts, only)


def _keep(table: pa.Table, only: Only) -> pa.Table:
    if only == "all" or table.num_rows == 0:
        return table
    generated = table.column("is_generated").to_numpy()
    return table.filter(pa.array(generated if only == "generated" else ~generated))


def _count(path: Path, only: Only) -> int:
    rows: int = _keep(read_columns(path, ["is_generated"]), only).num_rows
    return rows
