"""Columns of the page: one value per row, in chunk files that a page can load from a disk without a server.

A page opened from a file may not read other files, but it may run scripts. So each chunk is a script that hands its
values to the page: numbers as base64 of little-endian values, text as a JSON list. The module knows no images.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import polars as pl

CHUNK_ROWS = 65_536
MISSING = -1  # in a column of row numbers: there is none

Kind = Literal["u8", "u16", "i32", "f32", "text"]
TYPES: dict[str, str] = {"u8": "<u1", "u16": "<u2", "i32": "<i4", "f32": "<f4"}


@dataclass(frozen=True, eq=False)
class Column:
    """values: n of them; null is NaN in a column of f32, MISSING in one of i32, and not allowed in others."""

    name: str
    kind: Kind
    values: pl.Series

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z0-9_]+", self.name):
            raise ValueError(f"{self.name!r} cannot name a column and its files; allowed: a-z, 0-9 and _")
        if self.kind not in ("f32", "i32") and self.values.null_count():
            raise ValueError(f"column {self.name} lacks {self.values.null_count()} values")


def write_columns(folder: Path, columns: Sequence[Column], *, chunk_rows: int = CHUNK_ROWS) -> int:
    """Write `<name>-<chunk>.js` for each column and chunk; returns the number of bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    written = 0
    for column in columns:
        for chunk, begin in enumerate(range(0, len(column.values), chunk_rows)):
            text = _format_chunk(column, chunk, column.values[begin : begin + chunk_rows])
            written += (folder / f"{column.name}-{chunk}.js").write_bytes(text.encode())
    return written


def _format_chunk(column: Column, chunk: int, values: pl.Series) -> str:
    if column.kind == "text":
        content = to_script(values.to_list())
    else:
        if values.null_count():
            values = values.fill_null(float("nan") if column.kind == "f32" else MISSING)
        packed = values.to_numpy().astype(TYPES[column.kind])
        content = f'"{base64.b64encode(packed.tobytes()).decode()}"'
    return f'explore.take("{column.name}", {chunk}, {content})\n'


def to_script(value: Any) -> str:
    """A JSON value as it may stand in a script, in a file or within a page: ASCII, and no `<` that could end it."""
    return json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
