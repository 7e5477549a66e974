"""Cells as read by pandas, which infers types a few rows at a time, and by Python's csv."""

from __future__ import annotations

import csv
import io
import json

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.datasets.pixels import build_rows
from ops.exports.table import COLUMNS, header, lines, spell_names

LETTERS = st.text(alphabet=st.characters(codec="utf-8"), max_size=8)
WORDS = st.sampled_from(
    ["None", "NA", "nan", "TRUE", "1e5", "007", "7", "-3", "1_0", "inf", " 7", "0x1F", "٣", "", "-"]
)


@given(st.lists(st.one_of(LETTERS, WORDS), min_size=1, max_size=6, unique=True))
def test_pandas_infers_the_same_type_of_names_for_any_rows(names: list[str]) -> None:
    kinds = set()
    for label, name in enumerate(names):
        found, kind = read_with_pandas(names, [label])
        kinds.add(kind)
        (cell,) = found
        assert cell == spell_names(names)[label]
        assert cell == name or json.loads(cell) == name
    assert len(kinds) == 1


def test_names_are_unchanged_where_that_is_safe() -> None:
    assert spell_names(["Bag", "T-shirt", 'a "b", c', "日本"]) == ["Bag", "T-shirt", 'a "b", c', "日本"]
    assert spell_names(["0", "10", "-3"]) == ["0", "10", "-3"]
    assert spell_names(["0", "ten"]) == ['"0"', '"ten"']
    assert spell_names(["01", "10"]) == ['"01"', '"10"']


@pytest.mark.parametrize(
    ("given_", "cells"),
    [
        ({}, ["0", "Bag", "False", "i", "-", "-1", "-1", ""]),
        (
            {"is_generated": True, "parent_ids": ["p"], "rounds": [0], "ks": [7], "weights": [2]},
            ["0", "Bag", "True", "i", "p", "0", "7", "2.0"],
        ),
    ],
)
def test_only_the_weight_may_be_empty(given_: dict[str, list[object]], cells: list[str]) -> None:
    rows = build_rows([0], ["i"], split="train", **given_)
    read = list(csv.reader(io.StringIO((header("file") + lines(["f.png"], rows, ["Bag"])).decode())))
    assert read == [["file", *COLUMNS], ["f.png", *cells]]


def read_with_pandas(names: list[str], labels: list[int]) -> tuple[list[str], str]:
    rows = build_rows(labels, [f"i{label}" for label in labels], split="train")
    content = header("file_name") + lines([f"{label}.png" for label in labels], rows, names)
    column = pd.read_csv(io.BytesIO(content))["label_name"]
    return [str(cell) for cell in column], str(column.dtype)


@pytest.mark.parametrize("name", ["=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_name_that_a_spreadsheet_would_run_is_spelled_as_json(name: str) -> None:
    spelled = spell_names(["bee", name])
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in spelled)
    assert [json.loads(cell) for cell in spelled] == ["bee", name]


def test_negative_numbers_stay_numbers() -> None:
    assert spell_names(["-1", "2"]) == ["-1", "2"]
