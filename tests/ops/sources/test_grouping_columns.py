"""Columns of lists are no columns of groups or of splits."""

from __future__ import annotations

import polars as pl

from ops.sources.grouping import find_group_column
from ops.sources.table_splits import find_split_column


def test_columns_of_lists_are_passed_over() -> None:
    frame = pl.DataFrame({"label": ["a", "b"], "subject": [["x"], ["x"]], "dataset": [["train"], ["test"]]})
    assert find_group_column(frame, "label") is None and find_split_column(frame) is None
    plain = frame.with_columns(subject=pl.lit("x"), dataset=pl.Series(["train", "test"]))
    assert find_group_column(plain, "label") == "subject" and find_split_column(plain) == "dataset"
