"""Tables of images and labels as people have them: found by their columns, whatever their name and their spelling.

`find_tables` is for a first look; `locate_images` and `read_separated` also serve the reading of a described source.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from ops.errors import UserError
from ops.sources.conversion import SUFFIXES
from ops.sources.listing import is_file

SEPARATED = (".csv", ".tsv")
SEPARATORS = (",", ";", "\t")
PEEKED_ROWS = 20
PEEKED_LINES, PEEKED_BYTES = 6, 2**16  # by which the separator is found
# Names of columns, without case and signs; a text is preferred to the number of the class, so it stands first.
FILES = (
    "filename", "file", "filepath", "path", "image", "imagename", "imagefile", "imagefilename", "imagepath", "imageid",
    "img", "imgname", "imgpath", "imgid", "picture", "photo", "name", "fname", "relpath", "id", "idcode",
)  # fmt: skip
LABELS = (
    "labelname", "classname", "categoryname", "label", "labels", "class", "category", "target", "species", "tag", "y",
    "labelid", "classid", "categoryid", "diagnosis", "annotation", "groundtruth", "gt",
)  # fmt: skip


@dataclass(frozen=True)
class Table:
    """A table that names images below its folder: its path, and its columns of the files and of the labels.

    others: columns that are called like labels too.
    """

    path: Path
    file_name: str
    label: str
    others: tuple[str, ...] = ()


def find_tables(source: Path) -> list[Table]:
    """The tables directly in a folder, or the one that `source` is, whose columns name existing images and labels."""
    if source.is_dir():
        paths = sorted(filter(is_separated, source.iterdir()))
    else:
        paths = [source] if is_separated(source) else []
    return [table for path in paths if (table := _recognise(path)) is not None]


def is_separated(path: Path) -> bool:
    """Whether a path is a file with columns between separators, by its suffix in capitals or not."""
    return path.suffix.lower() in SEPARATED and path.is_file()


def read_separated(content: io.BytesIO, *, texts: Sequence[str] = (), rows: int | None = None) -> pl.DataFrame:
    """A table with commas, semicolons or tabs between its columns; the columns `texts` are not read as numbers.

    Rows without any value are left out: spreadsheets and editors leave such lines at the end.
    """
    separator = _choose_separator(content.getvalue()[:PEEKED_BYTES], texts)
    types = dict.fromkeys(texts, pl.String)
    frame = pl.read_csv(content, separator=separator, infer_schema_length=None, schema_overrides=types, n_rows=rows)
    return frame.filter(pl.any_horizontal(pl.all().is_not_null()))


def _choose_separator(start: bytes, columns: Sequence[str]) -> str:
    """The first sign by which the header has these columns; without any, the sign that most often stands in each of the
    first lines, and else the first one in the header."""
    lines = start.decode(errors="replace").removeprefix("\ufeff").splitlines()[:PEEKED_LINES] or [""]
    if columns:
        for sign in SEPARATORS:
            if set(columns) <= set(next(csv.reader(lines[:1], delimiter=sign), [])):
                return sign
    plain = [re.sub(r'"[^"]*"', "", line) for line in lines if line]
    counts = {sign: {line.count(sign) for line in plain} for sign in SEPARATORS}
    steady = {sign: min(found) for sign, found in counts.items() if len(found) == 1 and min(found)}
    if steady:
        return max(steady, key=lambda sign: steady[sign])
    return next((sign for sign in SEPARATORS if sign in lines[0]), ",")


def describe_fault(table: Path) -> str:
    """Why a table that `find_tables` does not return names no images and labels, as the end of a sentence about it."""
    content = table.read_bytes()
    if content.startswith(b"#"):
        return "begins with a comment; its first line must name the columns"
    try:
        content.decode()
        found = read_separated(io.BytesIO(content), rows=PEEKED_ROWS).columns
        columns = find_spellings(found, FILES)
        frame = read_separated(io.BytesIO(content), texts=columns, rows=PEEKED_ROWS)
    except UnicodeDecodeError:
        return "is not UTF-8 text; save it as UTF-8"
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        return f"cannot be read: {str(error).splitlines()[0]}"
    named = {column: frame[column].drop_nulls().to_list() for column in columns}
    for column, names in named.items():
        if any(
            is_file(path) for path in locate_images(table, [name for name in names if not Path(name).is_absolute()])
        ):
            return f"has a column {column}, but which of the others has the classes is not clear; call that one label"
    names = [name for rows in named.values() for name in rows]
    if any(Path(name).is_absolute() for name in names):
        return "has absolute paths; write them relative to its folder"
    if names:
        return f"names files that do not exist, such as {names[0]}"
    if len(found) == 1:
        return f"has one column, {found[0]}; commas, semicolons or tabs separate columns, and the first line names them"
    return f"names no images: none of its columns {', '.join(found)} is called file_name, image, path or the like"


def locate_images(table: Path, names: Iterable[str]) -> list[Path]:
    """The path that each name in `table` means: below the table's folder, as it stands there.

    A bare name without such a file is looked for in the folders below, as the name of an image with or without its
    suffix. UserError if several images have it. A name without any file gives the path at which it was expected.
    """
    index: dict[str, list[Path]] | None = None
    found = []
    for name in names:
        path = table.parent / name
        if Path(name).name == name and not is_file(path):
            index = _index_images(table.parent) if index is None else index
            matches = index.get(name, [])
            if len(matches) > 1:
                raise UserError(f"{table}: {name!r} may be {matches[0]} or {matches[1]}; write the path in the table")
            path = matches[0] if matches else path
        found.append(path)
    return found


def _index_images(folder: Path) -> dict[str, list[Path]]:
    """Image files below a folder, by name and by name without suffix."""
    index: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in SUFFIXES:
            for name in (path.name, path.stem):
                index.setdefault(name, []).append(path)
    return index


def _recognise(path: Path) -> Table | None:
    try:
        frame = read_separated(io.BytesIO(path.read_bytes()), rows=PEEKED_ROWS)
        columns = find_spellings(frame.columns, FILES)
        frame = read_separated(io.BytesIO(path.read_bytes()), texts=columns, rows=PEEKED_ROWS)
        known = _rank_labels(path, frame.columns)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
        return None  # some other file; reading the described source reports what is wrong
    for file_name in columns:
        labels = [name for name in known if name != file_name]
        others = [name for name in frame.columns if name not in (file_name, "split")]
        if file_name == "file_name" and "label" in labels:  # the layout's own names
            labels = ["label"]
        label = labels[0] if labels else others[0] if len(others) == 1 else None
        names = [name for name in frame[file_name] if name and not Path(name).is_absolute()]
        if label is not None and any(is_file(image) for image in locate_images(path, names)):
            return Table(path, file_name, label, tuple(name for name in labels if name != label))
    return None


def _rank_labels(path: Path, columns: Sequence[str]) -> list[str]:
    """The columns that are called like labels, the likeliest first."""
    if {"x", "y"} <= {column.lower() for column in columns}:
        columns = [column for column in columns if column.lower() != "y"]  # a place in the image
    known = find_spellings(columns, LABELS)
    if len(known) < 2:
        return known
    whole = read_separated(io.BytesIO(path.read_bytes()))
    return sorted(known, key=lambda column: not _is_class(whole[column].drop_nulls()))


def _is_class(values: pl.Series) -> bool:
    """Whether values may be classes: texts that come again, or whole numbers from 0 or 1 that leave few out."""
    if not values.dtype.is_integer():
        return values.dtype == pl.String and 2 * values.n_unique() <= len(values)
    least, most = int(values.min() or 0), int(values.max() or 0)  # type: ignore[arg-type]
    return least in (0, 1) and most - least < 2 * values.n_unique()


def simplify(name: str) -> str:
    """The name of a column without case and signs.

    >>> simplify("Patient_ID")
    'patientid'
    """
    return re.sub(r"[^a-z0-9]", "", name.lower())


def find_spellings(columns: Iterable[str], known: Sequence[str]) -> list[str]:
    """The columns with known names, in the order of `known`."""
    plain = {column: simplify(column) for column in columns}
    return sorted((column for column in plain if plain[column] in known), key=lambda column: known.index(plain[column]))
