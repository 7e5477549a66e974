"""Pixel datasets: images with labels and provenance, in Parquet shards that other tools can read.

A shard is one Parquet file with the Hugging Face image schema and a column for each fact about the origin of an
image. A row group has at most 4,096 images. The image column has no dictionary and no statistics; the other columns
are zstd with statistics, so that a filter on them skips row groups and reads no pixels.

It knows neither recipes nor sources nor the use of a split; the caller chooses the folders of the shards.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import numpy as np
import polars as pl
import pyarrow as pa

from ops.datasets.png import decode_png, encode_png, name_shape
from ops.datasets.shards import (
    IMAGE_TYPE,
    build_schema,
    find_shards,
    iterate_images,
    list_groups,
    list_shards,
    read_class_names,
    read_columns,
    read_group,
    write_tables,
)
from ops.errors import DamagedData, UserError

ROW_SCHEMA = pl.Schema(
    {
        "label": pl.Int64,
        "split": pl.String,
        "is_generated": pl.Boolean,
        "image_id": pl.String,
        "parent_id": pl.String,
        "round": pl.Int32,
        "k": pl.Int64,
        "weight": pl.Float64,
    }
)
_ARROW_TYPES = {
    "label": pa.int64(),
    "split": pa.string(),
    "is_generated": pa.bool_(),
    "image_id": pa.string(),
    "parent_id": pa.string(),
    "round": pa.int32(),
    "k": pa.int64(),
    "weight": pa.float64(),
}
_REQUIRED = ("label", "split", "is_generated", "image_id")
_GROUP_ROWS = 4_096
_GROUP_BYTES = 2**29  # far below the 2 GiB that the 32-bit offsets of one Arrow binary array can hold


class PixelSource(Protocol):
    """Images with their rows that are read a part at a time, from memory or from elsewhere."""

    @property
    def class_names(self) -> tuple[str, ...]: ...

    @property
    def image_bytes(self) -> int:
        """Bytes of one image's pixels."""
        ...

    def __len__(self) -> int: ...

    def part(self, begin: int, end: int) -> PixelDataset:
        """Rows `begin` .. `end - 1`."""
        ...


@dataclass(frozen=True, eq=False)
class PixelDataset:
    """Images in memory with one row of facts each; row i of `rows` describes `images[i]`.

    images: uint8 [n, H, W, C], C in {1, 3}. rows: the columns of ROW_SCHEMA; `parent_id`, `round`, `k` and
    `weight` may be null. class_names: one name per label, so labels lie in 0..len(class_names)-1. ValueError
    if any of this does not hold.
    """

    images: np.ndarray
    rows: pl.DataFrame
    class_names: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.images.dtype != np.uint8 or self.images.ndim != 4 or self.images.shape[3] not in (1, 3):
            found = f"{self.images.dtype} {list(self.images.shape)}"
            raise ValueError(f"images are {found}; allowed: uint8 [n, H, W, 1 or 3]")
        if self.rows.height != len(self.images):
            raise ValueError(f"there are {len(self.images)} images and {self.rows.height} rows")
        fault = _find_fault(self.rows, len(self.class_names))
        if fault:
            raise ValueError(fault)

    def __len__(self) -> int:
        return len(self.images)

    @property
    def labels(self) -> np.ndarray:
        """int64 [n]."""
        return self.rows["label"].to_numpy()

    @property
    def image_bytes(self) -> int:
        """Bytes of one image's pixels."""
        return math.prod(self.images.shape[1:])

    def part(self, begin: int, end: int) -> PixelDataset:
        """Rows `begin` .. `end - 1`, their pixels not copied."""
        return PixelDataset(self.images[begin:end], self.rows[begin:end], self.class_names)

    def select(self, mask_or_indices: np.ndarray | Sequence[int]) -> PixelDataset:
        """The rows of a bool mask [n] or of integer indices [m], in that order, as a new dataset."""
        chosen = np.asarray(mask_or_indices)
        if chosen.dtype == np.bool_:
            if chosen.shape != (len(self),):
                raise ValueError(f"the mask has shape {list(chosen.shape)}; allowed: [{len(self)}]")
            chosen = np.flatnonzero(chosen)
        if chosen.size == 0:
            chosen = np.empty(0, np.int64)
        return PixelDataset(self.images[chosen], self.rows[chosen], self.class_names)


def build_rows(
    labels: np.ndarray | Sequence[int],
    image_ids: Sequence[str],
    *,
    split: str,
    is_generated: bool = False,
    parent_ids: Sequence[str | None] | None = None,
    rounds: Sequence[int] | None = None,
    ks: Sequence[int] | None = None,
    weights: Sequence[float] | None = None,
) -> pl.DataFrame:
    """The `rows` of a PixelDataset whose images are of one split, and all real or all generated.

    Columns that are not given are null.
    """
    count = len(labels)
    unknown = [None] * count
    columns = {
        "label": np.asarray(labels, np.int64),
        "split": [split] * count,
        "is_generated": [is_generated] * count,
        "image_id": list(image_ids),
        "parent_id": unknown if parent_ids is None else list(parent_ids),
        "round": unknown if rounds is None else list(rounds),
        "k": unknown if ks is None else list(ks),
        "weight": unknown if weights is None else list(weights),
    }
    return pl.DataFrame(columns, schema=ROW_SCHEMA)


@dataclass(frozen=True)
class Shard:
    """One file of a planned set: rows `begin` .. `end - 1` of the dataset."""

    path: Path
    begin: int
    end: int


def plan_shards(
    folder: Path, rows: int, image_bytes: int, *, prefix: str, shard_bytes: int = 128 * 2**20
) -> list[Shard]:
    """The files `{prefix}-00000-of-00001.parquet` and on, for `rows` images of `image_bytes` bytes of pixels each.

    Each holds at most `shard_bytes` of pixels, and all are evenly full. UserError if the folder holds files of this
    prefix from a set of another size, because a reader could not distinguish old files from new ones.
    """
    count = max(1, -(-rows // max(1, shard_bytes // max(1, image_bytes))))
    names = [f"{prefix}-{index:05d}-of-{count:05d}.parquet" for index in range(count)]
    for path in list_shards(folder, prefix):
        if path.name not in names:
            raise UserError(f"{path} belongs to another set; {count} files of {prefix} need a folder without it")
    bounds = [rows * index // count for index in range(count + 1)]
    return [Shard(folder / name, begin, end) for name, (begin, end) in zip(names, pairwise(bounds), strict=True)]


def write_shards(folder: Path, dataset: PixelDataset, *, prefix: str, shard_bytes: int = 128 * 2**20) -> list[Path]:
    """Write the files of `plan_shards` and raise as it does. Rows keep their order; equal datasets give equal bytes."""
    shards = plan_shards(folder, len(dataset), dataset.image_bytes, prefix=prefix, shard_bytes=shard_bytes)
    folder.mkdir(parents=True, exist_ok=True)
    for shard in shards:
        write_shard(shard.path, dataset, begin=shard.begin, end=shard.end)
    return [shard.path for shard in shards]


def write_shard(path: Path, images: PixelSource, *, begin: int = 0, end: int | None = None) -> None:
    """Write rows `begin` .. `end - 1` (default: all) as one Parquet file, which appears whole and synced or not at all.

    Rows are read one row group at a time, so a source outside memory needs memory for one row group only.
    """
    schema = build_schema(images.class_names, _ARROW_TYPES)
    end = len(images) if end is None else end
    write_tables(path, schema, _build_tables(images, begin, end, schema))


def read_shards(paths: Sequence[Path]) -> PixelDataset:
    """All rows of one or more files, in the order given, as one dataset.

    UserError for a missing file. DamagedData, naming file and row, for a file that is not a shard of this schema, for
    images that cannot be decoded, and for files that differ in image shape or class names.
    """
    if not paths:
        raise ValueError("no path is given")
    rows = read_rows(paths)
    class_names = _read_class_names(paths[0])
    images = np.empty((0, 0, 0, 1), np.uint8)
    done = 0
    for path in paths:
        if _read_class_names(path) != class_names:
            raise DamagedData(f"{path}: the class names differ from those of {paths[0]}")
        begin = done
        for first_row, payloads in iterate_images(path):
            place = images[done : done + len(payloads)] if done else None
            part = decode_png(payloads, where=str(path), first_row=first_row, out=place)
            if done == 0:
                images = np.empty((rows.height, *part.shape[1:]), np.uint8)
            elif part.shape[1:] != images.shape[1:]:
                here, there = name_shape(part.shape[1:]), name_shape(images.shape[1:])
                raise DamagedData(f"{path}, row {first_row}: the image is {here}, the first one {there}")
            if part is not place:
                images[done : done + len(part)] = part
            done += len(part)
        fault = _find_fault(rows[begin:done], len(class_names))
        if fault:
            raise DamagedData(f"{path}: {fault}")
    return PixelDataset(images, rows, class_names)


def read_split(folder: Path, split: str) -> PixelDataset:
    """The dataset in `{split}-*-of-*.parquet` of the folder; no other file is opened.

    UserError if there is no such file, DamagedData if one of the set is missing or holds rows of another split.
    """
    paths = find_shards(folder, split)
    if not paths:
        raise UserError(f"{folder} holds no split {split}; expected {split}-00000-of-00001.parquet and on")
    dataset = read_shards(paths)
    others = dataset.rows["split"].filter(dataset.rows["split"] != split)
    if len(others):
        raise DamagedData(f"{folder}: the files of split {split} hold rows of split {others[0]}")
    return dataset


def read_rows(paths: Sequence[Path]) -> pl.DataFrame:
    """All columns but the images, in the order of the files; image bytes are not read. Raises as `read_shards`."""
    frames = [pl.DataFrame(schema=ROW_SCHEMA)]
    for path in paths:
        frame = pl.DataFrame(read_columns(path, list(ROW_SCHEMA)))
        if frame.schema != ROW_SCHEMA:
            raise DamagedData(f"{path}: {_describe_schema(frame)}")
        frames.append(frame)
    return pl.concat(frames, rechunk=True)


def read_images(paths: Sequence[Path], rows: Sequence[int]) -> np.ndarray:
    """The images at these row numbers, uint8 [m, H, W, C]; other row groups are not read.

    Row numbers count through all files in order. Raises as `read_shards`; IndexError for a row beyond the last.
    """
    found: dict[int, np.ndarray] = {}
    first = 0
    for path in paths:
        groups = list_groups(path)
        for index, (begin, end) in enumerate(groups):
            here = sorted({row - first for row in rows if first + begin <= row < first + end})
            payloads = read_group(path, index) if here else ()
            for row in here:
                found[first + row] = decode_png(payloads[row - begin : row - begin + 1], where=str(path), first_row=row)
        first += groups[-1][1] if groups else 0
    if missing := set(rows) - set(found):
        raise IndexError(f"row {min(missing)} does not exist; there are {first} rows")
    return np.concatenate([found[row] for row in rows]) if len(rows) else np.empty((0, 0, 0, 1), np.uint8)


def _build_tables(images: PixelSource, begin: int, end: int, schema: pa.Schema) -> Iterator[pa.Table]:
    step = max(1, min(_GROUP_ROWS, _GROUP_BYTES // max(1, images.image_bytes)))
    for at in range(begin, end, step):
        part = images.part(at, min(at + step, end))
        payloads = _pack(encode_png(part.images))
        names = pa.array([f"{name}.png" for name in part.rows["image_id"]], pa.string())
        image = pa.StructArray.from_arrays([payloads, names], fields=list(IMAGE_TYPE))
        facts = [part.rows[name].to_arrow().cast(kind) for name, kind in _ARROW_TYPES.items()]
        yield pa.Table.from_arrays([image, *facts], schema=schema)


def _pack(payloads: list[bytes] | np.ndarray) -> pa.BinaryArray:
    if isinstance(payloads, list):
        return pa.array(payloads, pa.binary())
    count, length = payloads.shape
    offsets = np.arange(count + 1, dtype=np.int32) * np.int32(length)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(payloads)]
    return pa.BinaryArray.from_buffers(pa.binary(), count, buffers)


def _find_fault(rows: pl.DataFrame, classes: int) -> str | None:
    if rows.schema != ROW_SCHEMA:
        return _describe_schema(rows)
    for name in _REQUIRED:
        if rows[name].null_count():
            return f"row {rows[name].is_null().arg_max()} has no {name}"
    labels = rows["label"].to_numpy()
    outside = (labels < 0) | (labels >= classes)
    if outside.any():
        row = int(outside.argmax())
        return f"row {row} has label {labels[row]}; allowed: 0 to {classes - 1}"
    return None


def _describe_schema(rows: pl.DataFrame) -> str:
    return f"the columns are {dict(rows.schema)}; allowed: {dict(ROW_SCHEMA)}"


def _read_class_names(path: Path) -> tuple[str, ...]:
    names = read_class_names(path)
    if names is None:
        raise DamagedData(f"{path}: no class names in the metadata; it is not a pixel dataset")
    return names
