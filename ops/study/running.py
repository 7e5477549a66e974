"""Run a study: the missing cells of one block after the other, until the time is over; finished cells are kept at once.

All arms of a block come before the next block, so that a study that is stopped compares equal sets.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from ops.stages.materialization import Runtime
from ops.study.bench import Bench, open_bench
from ops.study.block import run_block
from ops.study.design import Study
from ops.study.results import Cell, add_rows, find_missing, read_results, select_complete
from ops.workspaces.locks import exclusive_study
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
    """Make the missing cells; stops between groups of trainings after `budget` minutes. The next call goes on.

    UserError for a mistake before anything is computed, EnvironmentFault where another process runs the study.
    """
    end = None if budget is None else clock() + 60 * budget
    with exclusive_study(main, study.name):
        benches = _open_benches(study, main, runtime)  # of all parts, which finds mistakes before any compute
        for bench in benches:
            for block in bench.blocks:
                missing = find_missing(bench.list_cells(block), bench.measures, read_results(study.folder))
                for rows in run_block(bench, block, missing) if missing else ():
                    add_rows(study.folder, rows)
                    if end is not None and clock() >= end:
                        return _summarise(study, benches)
                bench.drop_networks(read_results(study.folder))
        return _summarise(study, benches)


def summarise_study(study: Study, main: Workspace, runtime: Runtime) -> Finished:
    """What is finished, without running anything."""
    return _summarise(study, _open_benches(study, main, runtime))


def _summarise(study: Study, benches: Sequence[Bench]) -> Finished:
    found, tables, cells, missing = read_results(study.folder), list[pl.DataFrame](), list[Cell](), 0
    for bench in benches:
        own = [cell for block in bench.blocks for cell in bench.list_cells(block)]
        cells += own
        missing += len(find_missing(own, bench.measures, found))
        tables.append(select_complete(own, bench.measures, found))
    return Finished(pl.concat(tables), len(cells), missing)


def rehearse_study(study: Study, main: Workspace, runtime: Runtime) -> int:
    """Run every part made small, keep nothing; returns the number of cells that ran."""
    cells = 0
    with tempfile.TemporaryDirectory(prefix="growset-study-") as area:
        benches = [open_bench(study, name, main, Path(area), runtime, quick=True) for name in study.design.parts]
        for bench in benches:
            for block in bench.blocks:
                for rows in run_block(bench, block, bench.list_cells(block)):
                    cells += len({row.cell for row in rows})
    return cells


def _open_benches(study: Study, main: Workspace, runtime: Runtime) -> list[Bench]:
    runtime.sink(f"study {study.name}: reading its images")
    area = main.root / ".growset" / "studies" / study.name
    return [open_bench(study, name, main, area, runtime, quick=False) for name in study.design.parts]
