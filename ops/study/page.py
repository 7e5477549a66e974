"""The page of a study: `README.md`, whose text is written by people and whose tables are drawn from the results.

The tables stand between two marks; what is around them stays as it is. `figure.svg` lies beside it. What is shown of a
part is the choice of its kind.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl

from ops.errors import UserError
from ops.files.storage import write_text
from ops.study.design import Study
from ops.study.figure import Panel, draw_figure
from ops.study.kinds import KINDS, PartKind
from ops.study.part import Part
from ops.study.running import Finished

PAGE, FIGURE = "README.md", "figure.svg"
BEGIN, END = "<!-- results: drawn by `growset study` -->", "<!-- end of results -->"


def write_page(study: Study, finished: Finished) -> Path:
    """Draw the figure and the tables anew; returns the page. A study without a finished block gets no figure.

    Raises as `read_page`.
    """
    before, after = read_page(study)
    page = study.folder / PAGE
    write_text(page, f"{before}{BEGIN}\n\n{render_results(study, finished)}\n{END}{after}")
    if panels := _list_panels(study, finished):
        write_text(study.folder / FIGURE, draw_figure(panels))
    return page


def read_page(study: Study) -> tuple[str, str]:
    """The text before and after the marks; they come last on a page that has none.

    UserError for a page with one mark alone: what is between the marks would not be known.
    """
    page = study.folder / PAGE
    text = page.read_text(encoding="utf-8") if page.is_file() else f"# {study.design.question}\n"
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if bool(begin) != bool(end) or END in before:
        raise UserError(f"{page} must have both marks, '{BEGIN}' and then '{END}', or none of them")
    return (before, after) if begin else (f"{text.rstrip()}\n\n", "\n")


def render_results(study: Study, finished: Finished) -> str:
    """The tables of all parts, as Markdown."""
    done = finished.cells - finished.missing
    lines = [f"{done:,} of {finished.cells:,} cells are done. Only complete blocks are shown.", ""]
    if panels := _list_panels(study, finished):
        shown = "; ".join(dict.fromkeys(f"{panel.label}, {panel.title}" for row in panels for panel in row))
        lines += [f"![{shown}]({FIGURE})", ""]
    for name, part, kind, own in _list_begun(study, finished):
        lines += [f"### {name}", "", *kind.render(part, own)]
    return "\n".join(lines)


def _list_panels(study: Study, finished: Finished) -> list[list[Panel]]:
    """The rows of the figure in which there is something to draw."""
    begun = _list_begun(study, finished)
    return [row for name, part, kind, own in begun for row in kind.list_rows(name, part, own) if row]


def _list_begun(study: Study, finished: Finished) -> Iterator[tuple[str, Part, PartKind[Any, Any], pl.DataFrame]]:
    """The parts that have a complete block: name, part, kind and rows."""
    for name, part in study.design.parts.items():
        own = finished.table.filter(pl.col("part") == name)
        if len(own):
            yield name, part, KINDS[part.kind], own
