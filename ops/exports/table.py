"""Each image's metadata as CSV, written so that a reader infers the same column types for every file and every part.

pandas, and `datasets` through it, infers types separately for every split and every few thousand rows, reads an empty
cell or `None` as a missing number and `007` as 7; a spreadsheet runs cells that begin like a formula. So columns of
numbers and text have no gaps: a real image has parent `-`, round -1 and k -1. Only `weight` may be empty, and it is a
decimal everywhere. Class names are written unchanged if that is safe for all of them or if all are whole numbers.
Otherwise every name is written as a JSON string in quotes, which `json.loads` reads.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Sequence

import polars as pl

COLUMNS = ("label", "label_name", "is_generated", "image_id", "parent_id", "round", "k", "weight")
_WHOLE = re.compile(r"0|-?[1-9][0-9]{0,17}")
# pandas reads these as missing or as true and false, in upper or lower case. Numbers are found by trying float().
_AMBIGUOUS_WORDS = {"", "#n/a", "#n/a n/a", "#na", "-nan", "<na>", "n/a", "na", "nan", "none", "null", "true", "false"}
_FORMULA = ("=", "+", "-", "@", "\t")


def header(first: str) -> bytes:
    """The line of column names; `first` is the name of the file column."""
    return _line([first, *COLUMNS])


def lines(files: Sequence[str], rows: pl.DataFrame, class_names: Sequence[str]) -> bytes:
    """A line for each row of `rows` (columns of ROW_SCHEMA), with its file first."""
    spelled = spell_names(class_names)
    return b"".join(
        _line(
            [
                file,
                row["label"],
                spelled[row["label"]],
                row["is_generated"],
                row["image_id"],
                row["parent_id"] or "-",
                -1 if row["round"] is None else row["round"],
                -1 if row["k"] is None else row["k"],
                "" if row["weight"] is None else repr(float(row["weight"])),
            ]
        )
        for file, row in zip(files, rows.iter_rows(named=True), strict=True)
    )


def spell_names(class_names: Sequence[str]) -> list[str]:
    """The class names as written in the column `label_name`."""
    if all(_WHOLE.fullmatch(name) for name in class_names) or not any(map(_is_ambiguous, class_names)):
        return list(class_names)
    return [json.dumps(name, ensure_ascii=False) for name in class_names]


def _is_ambiguous(name: str) -> bool:
    bare = name.strip().lower()
    if bare in _AMBIGUOUS_WORDS or bare != name.lower() or "\r" in name or "\0" in name or name.startswith(_FORMULA):
        return True
    try:
        float(bare)
    except ValueError:
        return False
    return True


def _line(cells: Sequence[object]) -> bytes:
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow(cells)
    return buffer.getvalue().encode()
