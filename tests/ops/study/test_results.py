"""The table of results: appended, replaced, kept through changes of the study; only complete blocks are shown."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from ops.errors import DamagedData
from ops.study.results import (
    SCHEMA,
    TABLE,
    Block,
    Cell,
    Row,
    add_rows,
    find_missing,
    read_results,
    select_complete,
)

HERE, THERE = Block("part", "10", 400, 0), Block("part", "10+other", 400, 0)
MEASURES = ("accuracy", "tail")


def rows(cell: Cell, value: float | None = 0.5, measures: tuple[str, ...] = MEASURES) -> list[Row]:
    return [Row(cell, measure, value, 1.25) for measure in measures]


def test_rows_are_added_and_a_measure_of_a_cell_is_replaced(tmp_path: Path) -> None:
    one, other = Cell(HERE, "real", 0, "f1"), Cell(HERE, "real", 1, "f2")
    assert read_results(tmp_path).schema == SCHEMA
    add_rows(tmp_path, rows(one))
    add_rows(tmp_path, rows(other, None))
    add_rows(tmp_path, rows(one, 0.75, ("tail",)))
    found = read_results(tmp_path)
    values = {(f, m): v for f, m, v in found.select("fingerprint", "measure", "value").iter_rows()}
    assert values == {("f1", "accuracy"): 0.5, ("f1", "tail"): 0.75, ("f2", "accuracy"): None, ("f2", "tail"): None}
    assert found.schema == SCHEMA


def test_the_file_does_not_depend_on_the_order_in_which_cells_finish(tmp_path: Path) -> None:
    cells = [Cell(HERE, arm, number, f"{arm}{number}") for arm in ("real", "mixup") for number in range(2)]
    for folder, order in (("one", cells), ("other", cells[::-1])):
        (tmp_path / folder).mkdir()
        for cell in order:
            add_rows(tmp_path / folder, rows(cell))
    assert (tmp_path / "one" / TABLE).read_bytes() == (tmp_path / "other" / TABLE).read_bytes()


def test_a_cell_is_missing_until_it_has_all_measures(tmp_path: Path) -> None:
    one, other = Cell(HERE, "real", 0, "f1"), Cell(HERE, "real", 1, "f2")
    add_rows(tmp_path, rows(one, None))  # the generator was not used: that is a result, too
    found = read_results(tmp_path)
    assert find_missing([one, other], MEASURES, found) == [other]
    assert find_missing([one], (*MEASURES, "head"), found) == [one]
    assert find_missing([one], ("tail",), found) == []


def test_what_is_measured_of_some_cells_is_asked_of_these_alone_and_shown_of_all(tmp_path: Path) -> None:
    block = Block("part", "10", 400, 0)
    fixed, asking = Cell(block, "fixed", 0, "a"), Cell(block, "asking", 0, "b", ("validation",))
    add_rows(tmp_path, [*rows(fixed), *rows(asking)])
    assert find_missing([fixed, asking], MEASURES, read_results(tmp_path)) == [asking]
    add_rows(tmp_path, rows(asking, measures=("validation",)))
    shown = select_complete([fixed, asking], MEASURES, read_results(tmp_path))
    assert shown.filter(pl.col("measure") == "validation")["arm"].to_list() == ["asking"]
    add_rows(tmp_path, rows(fixed, measures=("validation",)))
    shown = select_complete([fixed, asking], MEASURES, read_results(tmp_path))
    assert shown.filter(pl.col("measure") == "validation")["arm"].to_list() == ["fixed", "asking"]
    alone = select_complete([fixed], MEASURES, read_results(tmp_path))
    assert set(alone["measure"]) == set(MEASURES)


def test_only_complete_blocks_are_selected_whatever_else_the_file_has(tmp_path: Path) -> None:
    done, half = Block("part", "10", 400, 0), Block("part", "30", 400, 0)
    cells = [Cell(block, arm, 0, f"{block.setting}{arm}") for block in (done, half) for arm in ("real", "mixup")]
    for cell in cells[:3]:
        add_rows(tmp_path, rows(cell))
    add_rows(tmp_path, rows(Cell(Block("gone", "7", 9, 3), "real", 0, "of a removed part")))
    found = select_complete(cells, MEASURES, read_results(tmp_path))
    assert found.schema == SCHEMA
    assert found.select("setting", "arm").unique().sort("arm").rows() == [("10", "mixup"), ("10", "real")]
    assert len(select_complete(cells, ("accuracy",), read_results(tmp_path))) == 2
    assert len(select_complete(cells, (*MEASURES, "head"), read_results(tmp_path))) == 0


def test_a_cell_that_two_blocks_share_is_in_both_under_their_own_names(tmp_path: Path) -> None:
    add_rows(tmp_path, rows(Cell(HERE, "real", 0, "same"), 0.25, ("accuracy",)))
    cells = [Cell(HERE, "real", 0, "same"), Cell(THERE, "renamed", 0, "same")]
    found = select_complete(cells, ("accuracy",), read_results(tmp_path))
    assert found.select("setting", "arm", "value").rows() == [("10", "real", 0.25), ("10+other", "renamed", 0.25)]


@pytest.mark.parametrize("content", [b"", b"PAR1 and then something else", b"a,b\n1,2\n"])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / TABLE).write_bytes(content)
    with pytest.raises(DamagedData, match=f"{TABLE} cannot be read.*restore it with git"):
        read_results(tmp_path)


def test_a_table_of_something_else_is_named(tmp_path: Path) -> None:
    read_results(tmp_path).drop("network").write_parquet(tmp_path / TABLE)
    with pytest.raises(DamagedData, match=f"{TABLE} has the columns part, setting"):
        read_results(tmp_path)
