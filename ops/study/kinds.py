"""How the parts of each kind are run, and what a study's page shows of them.

A new kind is one line here, and one in `design.PARTS` for its keys.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import polars as pl

from ops.study import bench, block, classifier_page
from ops.study.design import ClassifierPart
from ops.study.figure import Panel
from ops.study.mixup_gan import bench as gan_bench
from ops.study.mixup_gan import page as gan_page
from ops.study.mixup_gan.design import MixupGanPart
from ops.study.part import Part
from ops.study.results import Block, Cell, Row


class Bench(Protocol):
    """A part that was opened: its blocks in the order in which they are run, and the cells of each."""

    @property
    def name(self) -> str:
        """Of the part."""

    @property
    def part(self) -> Part:
        """The part itself."""

    @property
    def measures(self) -> Sequence[str]:
        """What is measured of each cell."""

    @property
    def blocks(self) -> list[Block]:
        """In the order of running; blocks of the first seed come first."""

    def list_cells(self, block: Block) -> list[Cell]:
        """The cells of a block, with their fingerprints; nothing is computed for them."""


PartT = TypeVar("PartT", bound=Part)
BenchT = TypeVar("BenchT", bound=Bench)


@dataclass(frozen=True)
class PartKind(Generic[PartT, BenchT]):
    """The functions of a kind.

    open: study, name of the part, workspace of the study, folder for unfinished work and runtime; `quick` makes
    everything small. run: the missing cells of a block; yields the rows of some cells as soon as these are finished.
    tidy: delete what was kept for blocks that the results now have.
    render: Markdown lines of the rows of complete blocks. list_rows: rows of panels for the figure, of the part's name
    and these rows.
    """

    open: Callable[..., BenchT]
    run: Callable[[BenchT, Block, Sequence[Cell]], Iterator[list[Row]]]
    render: Callable[[PartT, pl.DataFrame], list[str]]
    list_rows: Callable[[str, PartT, pl.DataFrame], list[list[Panel]]]
    tidy: Callable[[BenchT, pl.DataFrame], None] = lambda bench, found: None


_CLASSIFIERS = PartKind[ClassifierPart, bench.Bench](
    bench.open_bench,
    block.run_block,
    classifier_page.render,
    classifier_page.list_rows,
    bench.Bench.drop_networks,
)
_MIXUP_GAN = PartKind[MixupGanPart, gan_bench.GanBench](
    gan_bench.open_bench, gan_bench.GanBench.run, gan_page.render, gan_page.list_rows
)
KINDS: dict[str, PartKind[Any, Any]] = {"classifiers": _CLASSIFIERS, "mixup_gan": _MIXUP_GAN}
