"""Run a study: the missing cells of one block after the other, until the time is over; finished cells are kept at once.

All arms of a block come before the next block, so that a study that is stopped compares equal sets.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from ops.stages.materialization import Runtime
from ops.study.bench import Bench, open_bench
from ops.study.block import run_block
from ops.study.design import ClassifierPart, Study
from ops.study.results import Cell, add_rows, find_missing, read_results, select_complete
from ops.workspaces.workspace import Workspace


@dataclass(frozen=True)
class Finished:
    """What a study has: the rows of its complete blocks, and how many cells it has and lacks."""

    table: pl.DataFrame
    cells: int
    missing: int


def run_study(
    study: Study,
    main: Workspace,
    runtime: Runtime,
    *,
    budget: float | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Finished:
    """Make the missing cells; stops between groups of trainings after `budget` minutes. The next call goes on."""
    area = main.root / ".growset" / "studies"
    end = None if budget is None else clock() + 60 * budget
    for bench in _open_benches(study, main, area, runtime, quick=False):
        for block in bench.blocks:
            missing = find_missing(bench.list_cells(block), bench.measures, read_results(study.folder))
            for rows in run_block(bench, block, missing) if missing else ():
                add_rows(study.folder, rows)
                if end is not None and clock() >= end:
                    return summarise_study(study, main, runtime)
    return summarise_study(study, main, runtime)


def summarise_study(study: Study, main: Workspace, runtime: Runtime) -> Finished:
    """What is finished, without running anything."""
    found, tables, cells, missing = read_results(study.folder), list[pl.DataFrame](), list[Cell](), 0
    for bench in _open_benches(study, main, main.root / ".growset" / "studies", runtime, quick=False):
        own = [cell for block in bench.blocks for cell in bench.list_cells(block)]
        cells += own
        missing += len(find_missing(own, bench.measures, found))
        tables.append(select_complete(own, bench.measures, found.filter(pl.col("part") == bench.name)))
    return Finished(pl.concat(tables), len(cells), missing)


def rehearse_study(study: Study, main: Workspace, runtime: Runtime) -> int:
    """Run every part made small, keep nothing; returns the number of cells that ran."""
    cells = 0
    with tempfile.TemporaryDirectory(prefix="growset-study-") as area:
        for bench in _open_benches(study, main, Path(area), runtime, quick=True):
            for block in bench.blocks:
                for rows in run_block(bench, block, bench.list_cells(block)):
                    cells += len({row.cell for row in rows})
    return cells


def _open_benches(study: Study, main: Workspace, area: Path, runtime: Runtime, *, quick: bool) -> Iterator[Bench]:
    for name, part in study.design.parts.items():
        assert isinstance(part, ClassifierPart)
        yield open_bench(name, part, main, area, runtime, quick=quick)
