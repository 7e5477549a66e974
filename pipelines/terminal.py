"""What people see in a terminal: progress that stays on one line, and tables of states.

In a terminal the newest progress line replaces the one before; in a log or a pipe every line is kept. Colour
follows the terminal and NO_COLOR. Nothing here computes.
"""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ops.progress import Sink
from ops.recipe.stages import PUBLISHED, STAGES

MARKS = {"current": "●", "stale": "◐", "missing": "○", "running": "▶"}
COLOURS = {"current": "green", "stale": "yellow", "missing": "dim", "running": "cyan"}


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
    """Stages down, expansions across; what is wrong or out of date is said below the table."""
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
            console.print(Text(f"\n{expansion}: {stage} is stale: {'; '.join(reasons)}", "yellow"), soft_wrap=True)
        if status["verdict"]:
            console.print(Text(f"\n{expansion}: {status['verdict']['sentence']}"), soft_wrap=True)
