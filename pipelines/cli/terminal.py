"""Output in a terminal: progress that stays on one line, and tables of states.

In a terminal the newest progress line replaces the one before; in a log or a pipe every line is kept. Colour
follows the terminal and NO_COLOR. Nothing here computes.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import polars as pl
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ops.files.manifests import PUBLISHED
from ops.history.comparison import Comparison, format_value
from ops.machine.progress import Sink
from ops.recipe.stages import STAGES

MARKS = {"current": "●", "stale": "◐", "missing": "○", "running": "▶", "damaged": "✗"}
COLOURS = {"current": "green", "stale": "yellow", "missing": "dim", "running": "cyan", "damaged": "red"}


@contextmanager
def progress_sink(*, to_stderr: bool = False) -> Iterator[Sink]:
    """A sink for progress lines `label: …`; the last line of each label stays on the screen."""
    stream = sys.stderr if to_stderr else sys.stdout
    console = Console(file=stream, highlight=False, soft_wrap=True)
    if not console.is_terminal:
        yield lambda line: print(f"  {line}", file=stream, flush=True)
        return
    last = ""
    with console.status("") as status:

        def show(line: str) -> None:
            nonlocal last
            if last and last.partition(":")[0] != line.partition(":")[0]:
                console.print(Text(f"  {last}", "dim"))
            last = line
            status.update(Text(line))

        yield show
        if last:
            console.print(Text(f"  {last}", "dim"))


def print_status(statuses: Mapping[str, Mapping[str, Any]]) -> None:
    """A table of stages by expansions, with errors and reasons for stale stages below."""
    console = Console(highlight=False)
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    for expansion in statuses:
        table.add_column(expansion)
    for stage in (*STAGES, PUBLISHED):
        cells = []
        for status in statuses.values():
            state = status["stages"].get(stage)
            cells.append(Text(f"{MARKS[state]} {state}", COLOURS[state]) if state else Text("✗ error", "red"))
        table.add_row(stage, *cells)
    console.print(table)
    for expansion, status in statuses.items():
        if status["error"]:
            console.print(Text(f"\n{expansion}: {status['error']}", "red"), soft_wrap=True)
        for stage, reasons in status["stale"].items():
            state = status["stages"][stage]
            text = Text(f"\n{expansion}: {stage} is {state}: {'; '.join(reasons)}", COLOURS[state])
            console.print(text, soft_wrap=True)
        if status["verdict"]:
            console.print(Text(f"\n{expansion}: {status['verdict']['sentence']}"), soft_wrap=True)


def print_versions(found: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """A line for each version: name, date, images and verdict."""
    console = Console(highlight=False)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, side in (
        ("version", "left"),
        ("date", "left"),
        ("real", "right"),
        ("generated", "right"),
        ("verdict", "left"),
    ):
        table.add_column(name, justify=side)  # type: ignore[arg-type]
    for versions in found.values():
        for version in versions:
            metrics = version["metrics"]
            name = version["name"] + ("" if version["commit"] else " (uncommitted)")
            date = version["date"][:16].replace("T", " ")
            if metrics is None:
                table.add_row(name, date, "", "", Text("gone", "dim"))
                continue
            real = metrics["train"] - metrics["generated"]
            table.add_row(name, date, f"{real:,}", f"{metrics['generated']:,}", metrics["decision"])
    console.print(table)
    if any(version["metrics"] is None for versions in found.values() for version in versions):
        console.print("gone: neither in DVC's cache nor in the remote")
    for expansion, versions in found.items():
        if not versions:
            console.print(f"{expansion}: nothing is published yet; run: growset run {expansion}")


def print_comparison(found: Comparison) -> None:
    """Images by class, then the other differences."""
    console = Console(highlight=False)
    totals = found.totals
    console.print(
        f"{found.before} → {found.after}: {totals['added']:,} added, {totals['removed']:,} removed,"
        f" {totals['changed']:,} changed of {totals['before']:,} images\n"
    )
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in found.classes.columns:
        table.add_column(name, justify="left" if name in ("class", "split", "kind") else "right")
    for row in found.classes.filter(pl.sum_horizontal("added", "removed", "changed") > 0).iter_rows():
        table.add_row(*(cell if isinstance(cell, str) else f"{cell:,}" for cell in row))
    if table.row_count:
        console.print(table)
        console.print()
    summary = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("", "before", "after"):
        summary.add_column(name, justify="right" if name else "left")
    for name, *values in found.summary:
        cells = [format_value(name, value) for value in values]
        summary.add_row(name.replace("_", " "), *cells, style="bold" if cells[0] != cells[1] else "")
    console.print(summary)
