"""Columns come back as they were written, chunk by chunk, and no text ends the script that holds it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ops.exploring.columns import MISSING, Column, to_script, write_columns
from tests.exploration import read_column

NASTY = [
    "</script><script>alert(1)</script>",
    'a "quoted" name',
    "it's",
    "line\u2028break",
    "back\\slash",
    "日本語",
    "",
]


@pytest.mark.parametrize("chunk_rows", [1, 3, 7, 100])
def test_every_kind_of_column_comes_back(tmp_path: Path, chunk_rows: int) -> None:
    floats = [0.1, None, -0.0, 1e30, float("nan"), -1e-30, 3.0]
    columns = [
        Column("label", "u16", pl.Series([0, 1, 65_535, 2, 3, 4, 5])),
        Column("kind", "u8", pl.Series([0, 1, 2, 3, 4, 255, 0])),
        Column("parent", "i32", pl.Series([0, None, 2**31 - 1, 3, None, 5, 6])),
        Column("score", "f32", pl.Series(floats)),
        Column("image_id", "text", pl.Series(NASTY)),
    ]
    size = write_columns(tmp_path, columns, chunk_rows=chunk_rows)
    assert size == sum(path.stat().st_size for path in tmp_path.iterdir())
    assert len(list(tmp_path.glob("score-*.js"))) == -(-7 // chunk_rows)
    assert list(read_column(tmp_path, "label", "u16")) == [0, 1, 65_535, 2, 3, 4, 5]
    assert list(read_column(tmp_path, "kind", "u8")) == [0, 1, 2, 3, 4, 255, 0]
    assert list(read_column(tmp_path, "parent", "i32")) == [0, MISSING, 2**31 - 1, 3, MISSING, 5, 6]
    expected = np.array([np.nan if value is None else value for value in floats], np.float32)
    np.testing.assert_array_equal(read_column(tmp_path, "score", "f32"), expected)
    assert read_column(tmp_path, "image_id", "text") == NASTY


def test_text_cannot_leave_its_script() -> None:
    written = to_script({"names": NASTY})
    assert written.isascii() and "<" not in written
    assert json.loads(written) == {"names": NASTY}


def test_columns_that_cannot_be_written_are_refused() -> None:
    with pytest.raises(ValueError, match="cannot name a column"):
        Column("../label", "u8", pl.Series([1]))
    with pytest.raises(ValueError, match="lacks 1 values"):
        Column("label", "u16", pl.Series([1, None]))
    with pytest.raises(ValueError, match="not finite|Out of range float"):
        to_script({"high": float("nan")})
