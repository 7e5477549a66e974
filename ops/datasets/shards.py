"""Parquet files with a Hugging Face image column: find, open and write them.

A user's own files and Growset's pixel datasets share this part of the format: names like
`train-00000-of-00002.parquet`, an `image` column that is struct{bytes, path}, and class names in the schema
metadata. The module knows neither the other columns nor the encoding of the image bytes.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ops.errors import DamagedData, UserError
from ops.files.storage import parse_json

IMAGE_TYPE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
IMAGE_COLUMNS = ("image.bytes", "image.path")
_HF_KEY = b"huggingface"
_BATCH_ROWS = 4_096


def list_shards(folder: Path, split: str) -> list[Path]:
    """All files of a folder with names like `{split}-00000-of-00002.parquet`, sorted by name."""
    pattern = re.compile(rf"{re.escape(split)}-\d{{5}}-of-\d{{5}}\.parquet")
    return sorted(path for path in folder.glob("*.parquet") if pattern.fullmatch(path.name))


def find_shards(folder: Path, split: str) -> list[Path]:
    """The files of `list_shards`, which must be one complete set; an empty list if there are no files.

    DamagedData if a file of the set is missing or two sets are mixed.
    """
    found = list_shards(folder, split)
    if not found:
        return []
    count = int(found[-1].stem[-5:])
    expected = [f"{split}-{index:05d}-of-{count:05d}.parquet" for index in range(count)]
    names = [path.name for path in found]
    if names != expected:
        odd = sorted(set(expected) ^ set(names))[0]
        fault = "is missing among" if odd in expected else "belongs to another set than the rest of"
        raise DamagedData(f"{folder}: {odd} {fault} the {len(found)} files of split {split}")
    return found


def open_shard(path: Path) -> pq.ParquetFile:
    """Open a Parquet file; the caller closes it (`with`).

    UserError for a missing file, DamagedData for a file that is not Parquet.
    """
    if not path.is_file():
        raise UserError(f"{path} does not exist; expected a Parquet file")
    try:
        return pq.ParquetFile(path, pre_buffer=False, memory_map=True)
    except (pa.ArrowException, OSError) as error:
        raise DamagedData(f"{path}: not a readable Parquet file ({_first_line(error)})") from error


def list_columns(path: Path) -> list[str]:
    """The columns of one file; fields of a struct are named like `image.bytes`. Raises as `open_shard`."""
    with open_shard(path) as file:
        return [file.schema.column(index).path for index in range(len(file.schema))]


def read_columns(path: Path, names: Sequence[str]) -> pa.Table:
    """The named columns of one file, in that order; no other column is read.

    Raises as `open_shard`, and DamagedData for a missing column or bytes that cannot be read.
    """
    _require_columns(path, names)
    with open_shard(path) as file:
        try:
            return file.read(columns=list(names), use_threads=False).select(list(names))
        except (pa.ArrowException, OSError) as error:
            raise DamagedData(f"{path}: cannot be read ({_first_line(error)})") from error


def iterate_images(path: Path, image: str = "image") -> Iterator[tuple[int, pa.BinaryArray | pa.LargeBinaryArray]]:
    """Pairs (first row, encoded images) of column `image`, at most 4,096 images each. Raises as `read_columns`."""
    column = f"{image}.bytes"
    _require_columns(path, [column])
    with open_shard(path) as file:
        begin = 0
        try:
            for batch in file.iter_batches(_BATCH_ROWS, columns=[column], use_threads=False):
                payloads = batch.column(0).flatten()[0]
                if not (pa.types.is_binary(payloads.type) or pa.types.is_large_binary(payloads.type)):
                    payloads = payloads.cast(pa.large_binary())
                yield begin, payloads
                begin += len(payloads)
        except (pa.ArrowException, OSError) as error:
            raise DamagedData(f"{path}, from row {begin}: cannot be read ({_first_line(error)})") from error


def list_groups(path: Path) -> list[tuple[int, int]]:
    """The rows (begin, end) of each row group of one file, from its footer. Raises as `open_shard`."""
    with open_shard(path) as file:
        sizes = [file.metadata.row_group(index).num_rows for index in range(file.metadata.num_row_groups)]
    return list(pairwise(accumulate(sizes, initial=0)))


def read_group(path: Path, index: int) -> pa.BinaryArray | pa.LargeBinaryArray:
    """The encoded images of one row group. Raises as `read_columns`."""
    _require_columns(path, IMAGE_COLUMNS)
    with open_shard(path) as file:
        try:
            table = file.read_row_group(index, columns=["image"], use_threads=False)
        except (pa.ArrowException, OSError) as error:
            raise DamagedData(f"{path}, row group {index}: cannot be read ({_first_line(error)})") from error
        return table.column(0).combine_chunks().field("bytes")


def iterate_batches(
    path: Path, columns: Sequence[str], *, batch_bytes: int, groups: Sequence[int] | None = None
) -> Iterator[pa.RecordBatch]:
    """The named columns of one file, or of some row groups, at most 4,096 rows and about `batch_bytes` at a time.

    Raises as `read_columns`.
    """
    _require_columns(path, [name for name in columns if name != "image"])
    with open_shard(path) as file:
        stored = sum(file.metadata.row_group(index).total_byte_size for index in range(file.metadata.num_row_groups))
        rows = max(1, min(_BATCH_ROWS, batch_bytes * file.metadata.num_rows // max(1, stored)))
        done = 0
        try:
            for batch in file.iter_batches(rows, row_groups=groups, columns=list(columns), use_threads=False):
                yield batch
                done += batch.num_rows
        except (pa.ArrowException, OSError) as error:
            raise DamagedData(f"{path}, from row {done}: cannot be read ({_first_line(error)})") from error


def read_class_names(path: Path, label: str = "label") -> tuple[str, ...] | None:
    """The class names of the column `label` in the Hugging Face metadata; None if there are none."""
    with open_shard(path) as file:
        metadata = file.metadata.metadata or {}
    if _HF_KEY not in metadata:
        return None
    try:
        names = parse_json(metadata[_HF_KEY])["info"]["features"][label]["names"]
    except (ValueError, KeyError, TypeError):
        return None
    return tuple(map(str, names)) if isinstance(names, list) else None


def build_schema(class_names: Sequence[str], columns: Mapping[str, pa.DataType]) -> pa.Schema:
    """Arrow schema of the image column and `columns`, with the metadata that `load_dataset` reads."""
    features: dict[str, Any] = {"image": {"_type": "Image"}}
    for name, kind in columns.items():
        features[name] = {
            "dtype": kind.to_pandas_dtype().__name__ if pa.types.is_floating(kind) else str(kind),
            "_type": "Value",
        }
    features["label"] = {"names": list(class_names), "_type": "ClassLabel"}
    metadata = {_HF_KEY: json.dumps({"info": {"features": features}}).encode()}
    return pa.schema([("image", IMAGE_TYPE), *columns.items()], metadata=metadata)


def write_tables(path: Path, schema: pa.Schema, groups: Iterable[pa.Table]) -> None:
    """Write a Parquet file with a row group for each table; it appears complete and synced, or not at all.

    The image column is not compressed, the others are zstd. Equal tables give equal bytes.
    """
    facts = [name for name in schema.names if name != "image"]
    codecs = dict.fromkeys(IMAGE_COLUMNS, "none") | dict.fromkeys(facts, "zstd")
    temporary = path.with_name(f".{path.name}.tmp")  # a fixed name: a re-run overwrites what a crash left behind
    with temporary.open("wb") as stream:
        with pq.ParquetWriter(
            stream,
            schema,
            compression=codecs,
            compression_level=dict.fromkeys(facts, 3),
            use_dictionary=facts,
            write_statistics=facts,
        ) as writer:
            for table in groups:
                writer.write_table(table, row_group_size=max(1, len(table)))
        stream.flush()
        os.fsync(stream.fileno())
    os.replace(temporary, path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _require_columns(path: Path, names: Sequence[str]) -> None:
    found = list_columns(path)
    for name in names:
        if name not in found:
            raise DamagedData(f"{path}: no column {name}; the columns are {', '.join(found)}")


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].rstrip(".")
