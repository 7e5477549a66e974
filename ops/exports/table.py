"""What is known of each image as CSV, so that readers which guess the type of a column guess the same everywhere.

pandas, and `datasets` with it, guesses anew for every split and every few thousand rows, takes an empty cell or `None`
for a missing number and `007` for 7; a spreadsheet runs what begins like a formula. So no column of numbers or text
has a gap: a real image has parent `-`, round -1 and k -1. Only `weight` may be empty, and is a decimal everywhere. A
class name stands as it is where that is safe for all of them (or where all are whole numbers), else every name stands
as a JSON string, in quotes, which `json.loads` undoes.
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
# What pandas takes for a gap or for true and false, in any case; numbers are tried.
_WORDS = {"", "#n/a", "#n/a n/a", "#na", "-nan", "<na>", "n/a", "na", "nan", "none", "null", "true", "false"}


_FORMULA = ("=", "+", "-", "@", "\t")


def header(first: str) -> bytes:
    """The line of names; `first` names the column with the file."""
    return _line([first, *COLUMNS])


def lines(files: Sequence[str], rows: pl.DataFrame, class_names: Sequence[str]) -> bytes:
    """A line for each row of `rows` (columns of ROW_SCHEMA), with its file in front."""
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
    """The class names as the column `label_name` has them."""
    if all(_WHOLE.fullmatch(name) for name in class_names) or not any(map(_is_ambiguous, class_names)):
        return list(class_names)
    return [json.dumps(name, ensure_ascii=False) for name in class_names]


def _is_ambiguous(name: str) -> bool:
    bare = name.strip().lower()
    if bare in _WORDS or bare != name.lower() or "\r" in name or "\0" in name or name.startswith(_FORMULA):
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
