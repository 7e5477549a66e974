"""GTSRB, the German traffic signs: `Final_Training/Images/<class>/*.ppm` with a table in each, and `Final_Test/Images`.

A track is thirty frames of one drive past one sign. Its frames are near duplicates, so a track is a group, and drawn
splits keep it whole. The test labels are a separate download, `GT-final_test.csv`.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import polars as pl

from ops.errors import DamagedData, UserError
from ops.sources.listing import Layout, Listing, is_file, name_labels, read_files, report_missing, require_path
from ops.sources.spec import SourceSpec

TRAINING, TEST = "Final_Training/Images", "Final_Test/Images"
TEST_TABLE = "GT-final_test.csv"


def recognise(root: Path) -> bool:
    return root.is_dir() and _find_root(root) is not None


def list_files(spec: SourceSpec) -> list[Path]:
    tables = _find_tables(spec)
    rows = [_read_table(table) for paths in tables.values() for table in paths]
    return [*(table for paths in tables.values() for table in paths), *(path for frame, _ in rows for path in frame)]


def list_splits(spec: SourceSpec) -> dict[str, Listing]:
    files: dict[str, list[Path]] = {}
    columns: dict[str, np.ndarray] = {}
    for split, tables in _find_tables(spec).items():
        read = [_read_table(table) for table in tables]
        files[split] = [path for paths, _ in read for path in paths]
        columns[split] = np.concatenate([labels for _, labels in read])
    names, labels = name_labels(columns, spec, lambda split, row: str(files[split][row]))
    return {
        split: Listing(
            names,
            labels[split],
            lambda indices, paths=paths: read_files(paths, indices),  # type: ignore[misc]
            np.array([f"{path.parent.name}/{path.name.partition('_')[0]}" for path in paths], str),
        )
        for split, paths in files.items()
    }


def _find_root(root: Path) -> Path | None:
    return next((folder for folder in (root, root / "GTSRB") if (folder / TRAINING).is_dir()), None)


def _find_tables(spec: SourceSpec) -> dict[str, list[Path]]:
    root = _find_root(require_path(spec, f"the folder with {TRAINING} in it"))
    if root is None:
        raise report_missing(
            spec, f"{spec.root} has no {TRAINING}; expected the unpacked GTSRB_Final_Training_Images.zip"
        )
    folders = sorted(folder for folder in (root / TRAINING).iterdir() if folder.is_dir())
    tables = {"train": [folder / f"GT-{folder.name}.csv" for folder in folders]}
    for table in tables["train"]:
        if not table.is_file():
            raise UserError(f"{table} does not exist; expected a table beside the images of each class")
    if (root / TEST).is_dir():
        places = [folder / TEST_TABLE for folder in (root / TEST, root, root.parent)]
        labels = next((place for place in places if place.is_file()), None)
        if labels is None:
            raise report_missing(spec, f"{places[0]} does not exist; expected the unpacked GTSRB_Final_Test_GT.zip")
        tables["test"] = [labels]
    return tables


def _read_table(table: Path) -> tuple[list[Path], np.ndarray]:
    """Image files and class numbers."""
    try:
        frame = pl.read_csv(io.BytesIO(table.read_bytes()), separator=";")
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise DamagedData(f"{table}: cannot be read ({str(error).splitlines()[0]})") from error
    for column in ("Filename", "ClassId"):
        if column not in frame.columns:
            raise UserError(f"{table} has no column {column}; it has {', '.join(frame.columns)}")
    names, labels = frame["Filename"], frame["ClassId"]
    whole = labels.dtype.is_integer() and labels.dtype not in (pl.Int128, pl.UInt128)
    if not len(names) or names.dtype != pl.String or not whole:
        found = f"Filename and ClassId are {names.dtype} and {labels.dtype} in {len(names)} rows"
        raise UserError(f"{table}: {found}; allowed: texts and whole numbers in one row or more")
    for facts in (names, labels):
        if facts.null_count():
            raise DamagedData(f"{table}, row {facts.is_null().arg_max()}: {facts.name} is missing")
    folder = table.parent if is_file(table.parent / names[0]) else table.parent / TEST
    if not folder.is_dir():
        folder = table.parent / "GTSRB" / TEST
    paths = [folder / Path(name).name for name in names]
    for path in paths:
        if not is_file(path):
            raise DamagedData(f"{path} does not exist, but {table.name} names it")
    return paths, labels.to_numpy()


LAYOUT = Layout(recognise, list_files, list_splits)
