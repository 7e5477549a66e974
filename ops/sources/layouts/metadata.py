"""Images with a table: `metadata.csv`, `.jsonl` or `.parquet` with `file_name` and a label, or another named table.

Either one table at the top, optionally with a column `split`, or one of each split there, as `table: "{split}.csv"`,
or one in each of the folders train, val and test, as in Hugging Face's image folders. A bare name in the table, with or
without the file's suffix, may lie deeper below it.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from ops.errors import DamagedData, UserError
from ops.sources.layouts.folder import find_split_folders
from ops.sources.listing import (
    Layout,
    Listing,
    Piece,
    is_file,
    name_labels,
    read_files,
    require_files,
    require_path,
    to_texts,
)
from ops.sources.spec import SourceSpec
from ops.sources.table_splits import PLACE, divide, find_split_tables
from ops.sources.tables import find_tables, is_separated, locate_images, read_separated

TABLES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")


def recognise(root: Path) -> bool:
    tables = (
        any((folder / name).is_file() for folder in (root, *root.iterdir()) for name in TABLES)
        if root.is_dir()
        else False
    )
    return tables or bool(find_tables(root))


def find_images(spec: SourceSpec) -> tuple[dict[str, Path], set[Path]]:
    """The table of each split, and the paths that they name."""
    tables = _find_tables(spec)
    rows = {split: _read_rows(table, spec) for split, table in tables.items()}
    return tables, {
        path for split, table in tables.items() for path in locate_images(table, rows[split][spec.file_name])
    }


def list_files(spec: SourceSpec) -> list[Path]:
    tables, images = find_images(spec)
    return [*tables.values(), *_require_named(sorted(images))]


def count_repeats(spec: SourceSpec) -> int:
    """Rows that name an image which a row before them names too, as tables of boxes do; each is an image of its own."""
    paths = [
        str(path)
        for table in _find_tables(spec).values()
        for path in locate_images(table, _read_rows(table, spec)[spec.file_name])
    ]
    return len(paths) - len(set(paths))


def list_splits(spec: SourceSpec) -> dict[str, Listing]:
    tables = _find_tables(spec)
    frames = {}
    for split, table in tables.items():
        frame = _read_rows(table, spec)
        paths = [str(path) for path in locate_images(table, frame[spec.file_name])]
        frames[split] = frame.with_columns(_path=pl.Series(paths, dtype=pl.String))
    frames = _keep_zeros(frames, tables, spec)
    if list(frames) == ["train"] and (column := _find_column(frames["train"], tables["train"], spec)):
        frames = divide(frames["train"], column, tables["train"])
    columns = {
        split: _read_labels(frame[spec.label], tables.get(split, next(iter(tables.values()))))
        for split, frame in frames.items()
    }

    def name(split: str, row: int) -> str:
        return str(frames[split]["_path"][row])

    names, labels = name_labels(columns, spec, name)
    return {split: _list_frame(frame, names, labels[split], spec) for split, frame in frames.items()}


def read_tables(spec: SourceSpec) -> dict[str, pl.DataFrame]:
    """The table of each split; one table of all images counts as train's."""
    return {split: _read_rows(table, spec) for split, table in _find_tables(spec).items()}


def _find_column(frame: pl.DataFrame, table: Path, spec: SourceSpec) -> str | None:
    """The column of the splits that the table has; UserError if it lacks the one that is described."""
    if spec.split_column in frame.columns or spec.split_column is None:
        return spec.split_column
    if "split_column" in spec.model_fields_set:
        raise UserError(f"{table} has no column {spec.split_column}; it has {', '.join(frame.columns)}")
    return None


def _keep_zeros(frames: dict[str, pl.DataFrame], tables: dict[str, Path], spec: SourceSpec) -> dict[str, pl.DataFrame]:
    """The rows with labels as texts where numbers would make one class of two, such as 01 and 1."""
    separated = all(is_separated(table) for table in tables.values())
    if spec.class_names or not separated or not all(frame[spec.label].dtype.is_integer() for frame in frames.values()):
        return frames
    written = {
        split: read_separated(io.BytesIO(table.read_bytes()), texts=(spec.file_name, spec.label))[spec.label]
        for split, table in tables.items()
    }
    if all(texts.n_unique() == frames[split][spec.label].n_unique() for split, texts in written.items()):
        return frames
    return {split: frame.with_columns(written[split].alias(spec.label)) for split, frame in frames.items()}


def _read_labels(column: pl.Series, table: Path) -> np.ndarray:
    if column.dtype in (pl.String, pl.Categorical, pl.Enum):
        return to_texts(column, table)
    if column.dtype.is_nested() or column.dtype.is_decimal() or column.dtype in (pl.Object, pl.Int128, pl.UInt128):
        raise UserError(f"{table}: labels are {column.dtype.base_type()}; allowed: whole numbers or texts")
    return column.to_numpy()


def _list_frame(frame: pl.DataFrame, names: tuple[str, ...], labels: np.ndarray, spec: SourceSpec) -> Listing:
    files = [Path(path) for path in frame["_path"]]
    groups = None if spec.group is None else to_texts(frame[spec.group], spec.root)
    return Listing(names, labels, lambda indices: _load(files, indices), groups)


def _load(files: list[Path], indices: np.ndarray) -> Iterator[Piece]:
    _require_named([files[index] for index in indices])
    return read_files(files, indices)


def _require_named(paths: list[Path]) -> list[Path]:
    """`paths` of a table, if each is a file; DamagedData if one is not. Raises as `require_files`, too."""
    for path in paths:
        if not is_file(path):
            fault = "is not a file" if os.path.exists(path) else "does not exist"
            raise DamagedData(f"{path} {fault}, but the metadata names it; add the file, or correct the table's row")
    return require_files(paths)


def _name_row(table: Path, row: int) -> str:
    """The place of row 0, 1, … of a table; people count the rows of a spreadsheet from its header on."""
    return f"{table}, row {row + 1} below the header" if is_separated(table) else f"{table}, row {row}"


def _find_tables(spec: SourceSpec) -> dict[str, Path]:
    """The table of each split; a table at the top counts as train's."""
    root = require_path(spec, "a folder with metadata.csv, .jsonl or .parquet in it")
    if spec.table and PLACE in spec.table and (tables := find_split_tables(root, spec.table)):
        return tables
    names = (spec.table,) if spec.table else TABLES
    folders = {"train": root} if any((root / name).is_file() for name in names) else find_split_folders(root)
    found = {}
    for split, folder in folders.items():
        present = [folder / name for name in names if (folder / name).is_file()]
        if len(present) != 1:
            fault = f"both {present[0].name} and {present[1].name}" if present else f"none of {', '.join(names)}"
            raise UserError(f"{folder} has {fault}; expected one")
        found[split] = present[0]
    if not found:
        raise UserError(f"{root} has none of {', '.join(names)}, nor folders train, val and test with one")
    return found


def _read_rows(table: Path, spec: SourceSpec) -> pl.DataFrame:
    try:
        content = io.BytesIO(table.read_bytes())  # Polars would read a path as a pattern
        if is_separated(table):
            frame = read_separated(content, texts=(spec.file_name,))
        elif table.suffix.lower() == ".jsonl":
            frame = pl.read_ndjson(content, infer_schema_length=None)
        else:
            frame = pl.read_parquet(content)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise DamagedData(f"{table}: cannot be read ({str(error).splitlines()[0]})") from error
    for column in filter(None, (spec.file_name, spec.label, spec.group)):
        if column not in frame.columns:
            raise UserError(f"{table} has no column {column}; it has {', '.join(frame.columns)}")
        if column != spec.group and frame[column].null_count():
            raise DamagedData(f"{_name_row(table, frame[column].is_null().arg_max() or 0)}: {column} is missing")
    if frame[spec.file_name].dtype != pl.String:
        raise UserError(
            f"{table}: {spec.file_name} is {frame[spec.file_name].dtype.base_type()}; allowed: names of files, as texts"
        )
    for row, name in enumerate(frame[spec.file_name]):
        if "\0" in name:
            raise UserError(f"{_name_row(table, row)}: {name!a} holds a zero character; allowed: names of files")
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise UserError(f"{_name_row(table, row)}: {name!r} leads out of the folder; allowed: names below it")
    return frame


LAYOUT = Layout(recognise, list_files, list_splits)
