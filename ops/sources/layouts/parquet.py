"""Parquet files with a Hugging Face image column: `train-*.parquet` etc., in the folder, `data/` or `<config>/`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from ops.datasets.shards import find_shards, iterate_images, list_columns, read_class_names, read_columns
from ops.errors import DamagedData, UserError
from ops.sources.listing import (
    ALIASES,
    SPLITS,
    Layout,
    Listing,
    Piece,
    name_labels,
    require_files,
    require_path,
    to_texts,
)
from ops.sources.spec import SourceSpec
from ops.sources.tables import LABELS, find_spellings


def recognise(root: Path) -> bool:
    return any(_find_shards(folder, split) for folder in _list_folders(root) for split in SPLITS)


def list_configurations(root: Path) -> list[Path]:
    """The folders in `root` with training images, where none lie in it or its `data/`: variants of one data set."""
    above, below = _list_folders(root)[:2], _list_folders(root)[2:]
    if any(_find_shards(folder, "train") for folder in above):
        return []
    return [folder for folder in below if folder not in above and _find_shards(folder, "train")]


def describe_columns(root: Path) -> dict[str, str]:
    """The keys `image` and `label` of a description, where the first file's columns have other names.

    UserError, naming the columns, if none holds images or it is not clear which has their classes.
    """
    path = next((path for folder in _list_folders(root) for path in _find_shards(folder, "train")), None)
    if path is None:
        return {}  # reading it reports that
    columns = list_columns(path)
    if {"image.bytes", "label"} <= set(columns):
        return {}
    others = [column for column in columns if "." not in column]
    images = [column.removesuffix(".bytes") for column in columns if column.endswith(".bytes")]
    labels = find_spellings(others, LABELS) or (others if len(others) == 1 else [])
    image = "image" if "image" in images else images[0] if len(images) == 1 else None
    label = "label" if "label" in others else labels[0] if labels else None
    if image is not None and label is not None:
        return {key: column for key, column in (("image", image), ("label", label)) if column != key}
    lack = (
        "call the one with the classes label"
        if image is not None
        else "one called image must be a struct of bytes and path, as Hugging Face's `datasets` writes images"
    )
    raise UserError(f"{path} has the columns {', '.join(columns)}; {lack}")


def list_files(spec: SourceSpec) -> list[Path]:
    return [path for paths in _find_splits(spec).values() for path in paths]


def list_splits(spec: SourceSpec) -> dict[str, Listing]:
    splits = _find_splits(spec)
    stored = next((names for path in splits["train"] if (names := read_class_names(path, spec.label))), None)
    parts = {split: [_read_labels(path, spec, stored) for path in paths] for split, paths in splits.items()}
    columns = {split: np.concatenate([labels for labels, _ in read]) for split, read in parts.items()}
    starts = {split: np.cumsum([0, *(len(labels) for labels, _ in read)]) for split, read in parts.items()}

    def name(split: str, row: int) -> str:
        file = int(np.searchsorted(starts[split], row, "right")) - 1
        return f"{splits[split][file]}, row {row - starts[split][file]}"

    names, labels = name_labels(columns, spec, name, stored)
    return {
        split: Listing(
            names,
            labels[split],
            lambda indices, split=split: _load(splits[split], starts[split], indices, spec.image),  # type: ignore[misc]
            np.concatenate([groups for _, groups in parts[split]]) if spec.group else None,
        )
        for split in splits
    }


def _find_splits(spec: SourceSpec) -> dict[str, list[Path]]:
    root = require_path(spec, "a folder with files such as train-00000-of-00001.parquet")
    folders = _list_folders(root)
    homes = {split: next((f for f in folders if _find_shards(f, split)), None) for split in SPLITS}
    found = {split: _find_shards(folder, split) for split, folder in homes.items() if folder is not None}
    if "train" not in found:
        raise UserError(
            f"{root} has no file train-*.parquet; expected one or more in it, in its data/ or in one of its folders"
        )
    for split, folder in homes.items():
        if folder is not None and folder != homes["train"] and _find_shards(folder, "train"):
            raise UserError(
                f"{root}: train images would come from {homes['train']} and {split} images from {folder}, which has"
                " train images of its own; let the source be one of the two folders, or move the other away"
            )
    for paths in found.values():
        require_files(paths)
        for folder in {path.parent for path in paths}:
            find_shards(folder, paths[0].name.split("-")[0])  # raises if a numbered set is not complete
    return found


def _list_folders(root: Path) -> list[Path]:
    """Where files are looked for, in this order; the first two are the folder and its `data/`."""
    if not root.is_dir():
        return []
    return [root, root / "data", *sorted(path for path in root.iterdir() if path.is_dir())]


def _find_shards(folder: Path, split: str) -> list[Path]:
    """`train-*.parquet`, or `train/*.parquet` as in the hub's conversions."""
    for alias in ALIASES[split]:
        found = sorted([*folder.glob(f"{alias}-*.parquet"), *folder.glob(f"{alias}.parquet")])
        if found or (found := sorted((folder / alias).glob("*.parquet"))):
            return found
    return []


def _read_labels(path: Path, spec: SourceSpec, stored: tuple[str, ...] | None) -> tuple[np.ndarray, np.ndarray]:
    """Stored labels, and groups (empty if the source has none)."""
    found = list_columns(path)
    for column in filter(None, (f"{spec.image}.bytes", spec.label, spec.group)):
        if column not in found:
            raise UserError(f"{path} has no column {column}; it has {', '.join(found)}")
    if stored and read_class_names(path, spec.label) != stored:
        raise UserError(f"{path} has other class names than the first file of the source")
    table = read_columns(path, [spec.label, *filter(None, [spec.group])])
    column = table.column(spec.label)
    text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
    if not text and not pa.types.is_integer(column.type):
        raise UserError(f"{path}: {spec.label} is of type {column.type}; allowed: whole numbers or texts")
    if column.null_count:
        row = column.to_pylist().index(None)
        raise DamagedData(f"{path}, row {row}: {spec.label} is missing")
    labels = to_texts(column.to_pylist(), path) if text else pl.Series(column).to_numpy()  # see `_to_arrow`
    groups = to_texts(table.column(spec.group).to_pylist() if spec.group else [], path)
    return labels, groups


def _load(files: list[Path], starts: np.ndarray, indices: np.ndarray, image: str) -> Iterator[Piece]:
    for path, begin, end in zip(files, starts, starts[1:], strict=False):
        rows = indices[np.searchsorted(indices, begin) : np.searchsorted(indices, end)] - begin
        if len(rows) == 0:
            continue
        for first, payloads in iterate_images(path, image):
            inside = rows[np.searchsorted(rows, first) : np.searchsorted(rows, first + len(payloads))]
            if len(inside):
                content = payloads if len(inside) == len(payloads) else payloads.take(_to_arrow(inside - first))
                yield Piece(content, lambda i, p=path, r=inside: f"{p}, row {r[i]}")  # type: ignore[misc]


def _to_arrow(numbers: np.ndarray) -> pa.Int64Array:
    """Like `pa.array`, which would import pandas if that is installed: half of the time of `growset check`."""
    return pa.Int64Array.from_buffers(pa.int64(), len(numbers), [None, pa.py_buffer(np.ascontiguousarray(numbers))])


LAYOUT = Layout(recognise, list_files, list_splits)
