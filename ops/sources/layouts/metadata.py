"""Images with a table: `metadata.csv`, `.jsonl` or `.parquet` with `file_name` and a label.

Either one table at the top, optionally with a column `split`, or one in each of the folders train, val and test, as
in Hugging Face's image folders.
"""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import polars as pl

from ops.errors import DamagedData, UserError
from ops.sources.layouts.folder import find_split_folders
from ops.sources.listing import (
    SPLITS,
    Layout,
    Listing,
    find_split,
    is_file,
    name_labels,
    read_files,
    require_files,
    require_path,
    to_texts,
)
from ops.sources.spec import SourceSpec

TABLES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")
FILE = "file_name"


def recognise(root: Path) -> bool:
    return root.is_dir() and any((folder / name).is_file() for folder in (root, *root.iterdir()) for name in TABLES)


def list_files(spec: SourceSpec) -> list[Path]:
    tables = _find_tables(spec)
    rows = {split: _read_rows(table, spec) for split, table in tables.items()}
    images = {
        table.parent / name for table, frame in zip(tables.values(), rows.values(), strict=True) for name in frame[FILE]
    }
    for path in sorted(images):
        if not is_file(path):
            fault = "is not a file" if os.path.exists(path) else "does not exist"
            raise DamagedData(f"{path} {fault}, but the metadata names it")
    return [*tables.values(), *require_files(sorted(images))]


def list_splits(spec: SourceSpec) -> dict[str, Listing]:
    tables = _find_tables(spec)
    frames = {
        split: _read_rows(table, spec).with_columns(_folder=pl.lit(str(table.parent)))
        for split, table in tables.items()
    }
    if list(frames) == ["train"] and "split" in frames["train"].columns:
        frames = _divide(frames["train"], tables["train"])
    columns = {
        split: _read_labels(frame[spec.label], tables.get(split, next(iter(tables.values()))))
        for split, frame in frames.items()
    }

    def name(split: str, row: int) -> str:
        return f"{Path(frames[split]['_folder'][row]) / frames[split][FILE][row]}"

    names, labels = name_labels(columns, spec, name)
    return {split: _list_frame(frame, names, labels[split], spec) for split, frame in frames.items()}


def _read_labels(column: pl.Series, table: Path) -> np.ndarray:
    if column.dtype in (pl.String, pl.Categorical, pl.Enum):
        return to_texts(column, table)
    if column.dtype.is_nested() or column.dtype.is_decimal() or column.dtype in (pl.Object, pl.Int128, pl.UInt128):
        raise UserError(f"{table}: labels are {column.dtype.base_type()}; allowed: whole numbers or texts")
    return column.to_numpy()


def _list_frame(frame: pl.DataFrame, names: tuple[str, ...], labels: np.ndarray, spec: SourceSpec) -> Listing:
    files = [Path(folder) / name for folder, name in frame.select("_folder", FILE).iter_rows()]
    groups = None if spec.group is None else to_texts(frame[spec.group].fill_null(""), spec.root)
    return Listing(names, labels, lambda indices: read_files(files, indices), groups)


def _find_tables(spec: SourceSpec) -> dict[str, Path]:
    """The table of each split; a table at the top counts as train's."""
    root = require_path(spec, "a folder with metadata.csv, .jsonl or .parquet in it")
    folders = {"train": root} if any((root / name).is_file() for name in TABLES) else find_split_folders(root)
    found = {}
    for split, folder in folders.items():
        present = [folder / name for name in TABLES if (folder / name).is_file()]
        if len(present) != 1:
            fault = f"both {present[0].name} and {present[1].name}" if present else f"none of {', '.join(TABLES)}"
            raise UserError(f"{folder} has {fault}; expected one")
        found[split] = present[0]
    if not found:
        raise UserError(f"{root} has none of {', '.join(TABLES)}, nor folders train, val and test with one")
    return found


def _read_rows(table: Path, spec: SourceSpec) -> pl.DataFrame:
    try:
        content = io.BytesIO(table.read_bytes())  # Polars would read a path as a pattern
        if table.suffix == ".csv":
            frame = pl.read_csv(content, infer_schema_length=None)
        elif table.suffix == ".jsonl":
            frame = pl.read_ndjson(content, infer_schema_length=None)
        else:
            frame = pl.read_parquet(content)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise DamagedData(f"{table}: cannot be read ({str(error).splitlines()[0]})") from error
    for column in filter(None, (FILE, spec.label, spec.group)):
        if column not in frame.columns:
            raise UserError(f"{table} has no column {column}; it has {', '.join(frame.columns)}")
        if column != spec.group and frame[column].null_count():
            raise DamagedData(f"{table}, row {frame[column].is_null().arg_max()}: {column} is missing")
    if frame[FILE].dtype != pl.String:
        raise UserError(f"{table}: {FILE} is {frame[FILE].dtype.base_type()}; allowed: names of files, as texts")
    for row, name in enumerate(frame[FILE]):
        if "\0" in name:
            raise UserError(f"{table}, row {row}: {name!a} holds a zero character; allowed: names of files")
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise UserError(f"{table}, row {row}: {name!r} leads out of the folder; allowed: names below it")
    return frame


def _divide(frame: pl.DataFrame, table: Path) -> dict[str, pl.DataFrame]:
    """The rows of each split, by the column `split`."""
    wanted = {value: find_split(str(value)) for value in frame["split"].unique().to_list()}
    for value, split in wanted.items():
        if split is None:
            raise UserError(f"{table}: the column split holds {value!r}; allowed: train, validation (or val), test")
    return {
        split: part
        for split in SPLITS
        if (part := frame.filter(pl.col("split").is_in([v for v, s in wanted.items() if s == split]))).height
    }


LAYOUT = Layout(recognise, list_files, list_splits)
