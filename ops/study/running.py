"""Run a study: the missing cells of one block after the other, until the time is over; finished cells are kept at once.

All arms of a block come before the next block, so that a study that is stopped compares equal sets. It does not know
what the cells of a kind are.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from ops.machine.precision import check_device
from ops.stages.materialization import Runtime
from ops.study.design import Study
from ops.study.kinds import KINDS, Bench, PartKind
from ops.study.results import Block, Cell, add_rows, find_missing, read_results, select_complete
from ops.workspaces.locks import exclusive_study
from ops.workspaces.workspace import Workspace

Opened = tuple[PartKind[Any, Any], Bench]


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
    area = main.root / ".growset" / "studies" / study.name  # of its datasets and unfinished trainings
    with exclusive_study(main, study.name):
        opened = _open_benches(study, main, area, runtime, quick=False)
        for kind, bench, block in order_blocks(opened):
            missing = find_missing(bench.list_cells(block), bench.measures, read_results(study.folder))
            for rows in kind.run(bench, block, missing) if missing else ():
                add_rows(study.folder, rows)
                if end is not None and clock() >= end:
                    return _summarise(study, opened)
            kind.tidy(bench, read_results(study.folder))
        return _summarise(study, opened)


def order_blocks(opened: Sequence[Opened]) -> list[tuple[PartKind[Any, Any], Bench, Block]]:
    """All blocks as they are run, turn by turn; in a turn the first seed of all parts comes before their second."""
    found = list[tuple[tuple[int, int], PartKind[Any, Any], Bench, Block]]()
    for kind, bench in opened:
        blocks = bench.blocks
        seeds = list(dict.fromkeys(block.seed for block in blocks))
        found += [
            ((bench.part.find_turn(block.setting), seeds.index(block.seed)), kind, bench, block) for block in blocks
        ]
    return [(kind, bench, block) for _, kind, bench, block in sorted(found, key=lambda each: each[0])]


def _summarise(study: Study, opened: Sequence[Opened]) -> Finished:
    found, tables, cells, missing = read_results(study.folder), list[pl.DataFrame](), list[Cell](), 0
    for _, bench in opened:
        own = [cell for block in bench.blocks for cell in bench.list_cells(block)]
        cells += own
        missing += len(find_missing(own, bench.measures, found))
        tables.append(select_complete(own, bench.measures, found))
    return Finished(pl.concat(tables), len(cells), missing)


def rehearse_study(study: Study, main: Workspace, runtime: Runtime) -> int:
    """Run every part made small, keep nothing; returns the number of cells that ran."""
    cells = 0
    with tempfile.TemporaryDirectory(prefix="growset-study-") as area:
        for kind, bench in _open_benches(study, main, Path(area), runtime, quick=True):
            for block in bench.blocks:
                for rows in kind.run(bench, block, bench.list_cells(block)):
                    cells += len({row.cell for row in rows})
    return cells


def _open_benches(study: Study, main: Workspace, area: Path, runtime: Runtime, *, quick: bool) -> list[Opened]:
    """Every part, in the order of the design; mistakes in any are found before the first one is run."""
    check_device(runtime.device)
    runtime.sink(f"study {study.name}: reading its images")
    kinds = {name: KINDS[part.kind] for name, part in study.design.parts.items()}
    return [(kind, kind.open(study, name, main, area, runtime, quick=quick)) for name, kind in kinds.items()]
