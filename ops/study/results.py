"""The results of a study: one row for each measure of each finished cell, in `results.parquet`.

A cell is known by its fingerprint, which covers all that decides its value, so a changed study keeps what is still
right, and cells that are equal in two blocks are made once. The other columns of a row name the cell that was made.
Rows of cells that the study no longer has stay in the file. It does not know how cells are made.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import polars as pl

from ops.errors import DamagedData
from ops.files.storage import replace_file

TABLE = "results.parquet"
SCHEMA = {
    "part": pl.String,
    "setting": pl.String,
    "steps": pl.Int64,
    "seed": pl.Int64,
    "arm": pl.String,
    "network": pl.Int64,
    "measure": pl.String,
    "value": pl.Float64,
    "seconds": pl.Float64,
    "fingerprint": pl.String,
}


@dataclass(frozen=True)
class Block:
    """What is compared together: the arms of one setting, number of steps and seed of a part."""

    part: str
    setting: str
    steps: int
    seed: int

    @property
    def name(self) -> str:
        """`small, setting 100, 1,600 steps, seed 0`."""
        return f"{self.part}, setting {self.setting}, {self.steps:,} steps, seed {self.seed}"


@dataclass(frozen=True)
class Cell:
    """One network of an arm in a block, or an answer of several together; `fingerprint` covers what decides it.

    own: what is measured of it beside the measures of all cells.
    """

    block: Block
    arm: str
    network: int
    fingerprint: str
    own: tuple[str, ...] = ()


@dataclass(frozen=True)
class Row:
    """A measure of a cell, and its share of the block's seconds.

    value: None where the generator was not used, or where the measure has no meaning.
    """

    cell: Cell
    measure: str
    value: float | None
    seconds: float


def read_results(folder: Path) -> pl.DataFrame:
    """The rows of all finished cells; empty where nothing has run. DamagedData for a file that cannot be read."""
    path = folder / TABLE
    if not path.is_file():
        return pl.DataFrame(schema=SCHEMA)
    remedy = f"restore it with git, or delete it, and growset study {folder.name} starts anew"
    try:
        table = pl.read_parquet(path)
    except pl.exceptions.PolarsError as error:
        raise DamagedData(f"{path} cannot be read: {str(error).splitlines()[0]}; {remedy}") from None
    if dict(table.schema) != SCHEMA:
        raise DamagedData(f"{path} has the columns {', '.join(table.columns)}, not those of a study; {remedy}")
    return table


def add_rows(folder: Path, rows: Sequence[Row]) -> None:
    """Append finished cells, atomically; a cell's measure that is there already is replaced."""
    new = pl.DataFrame(
        [
            {
                **asdict(row.cell.block),
                "arm": row.cell.arm,
                "network": row.cell.network,
                "measure": row.measure,
                "value": row.value,
                "seconds": round(row.seconds, 2),
                "fingerprint": row.cell.fingerprint,
            }
            for row in rows
        ],
        schema=SCHEMA,
    )
    kept = read_results(folder).join(new, on=["fingerprint", "measure"], how="anti")
    table = pl.concat([kept, new]).sort("part", "seed", "steps", "setting", "arm", "network", "measure")
    with replace_file(folder / TABLE) as temporary:
        table.write_parquet(temporary, compression="zstd", statistics=False)


def find_missing(cells: Iterable[Cell], measures: Sequence[str], found: pl.DataFrame) -> list[Cell]:
    """The cells of which some measure, or one of their own, is not there."""
    done = set(found.select("fingerprint", "measure").iter_rows())
    return [
        cell for cell in cells if any((cell.fingerprint, measure) not in done for measure in (*measures, *cell.own))
    ]


def select_complete(cells: Sequence[Cell], measures: Sequence[str], found: pl.DataFrame) -> pl.DataFrame:
    """The rows of blocks that are complete: all their cells with all measures. Other rows would mix unequal sets.

    Each cell has its own name in them, whichever cell of this fingerprint was made. What is measured of some cells
    alone is there of all that have it.
    """
    incomplete = {cell.block for cell in find_missing(cells, measures, found)}
    keys = [*asdict(Block("", "", 0, 0)), "arm", "network", "fingerprint"]
    rows = [
        (*asdict(cell.block).values(), cell.arm, cell.network, cell.fingerprint)
        for cell in cells
        if cell.block not in incomplete
    ]
    wanted = pl.DataFrame(rows, schema={key: SCHEMA[key] for key in keys}, orient="row")
    shown = {*measures, *(measure for cell in cells for measure in cell.own)}
    values = found.filter(pl.col("measure").is_in(list(shown))).drop([key for key in keys if key != "fingerprint"])
    return wanted.join(values, on="fingerprint", maintain_order="left").select(list(SCHEMA))
