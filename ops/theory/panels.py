"""Panels of a figure of the theory: two in a row, in one style. Equal panels give equal bytes."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure


def draw_panels(panels: Sequence[Callable[[Axes], None]]) -> str:
    """The SVG of four panels, each drawn by its function."""
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "growset", "font.family": "sans-serif"}):
        figure = Figure(figsize=(9.0, 6.4), layout="constrained")
        FigureCanvasSVG(figure)
        for place, draw in enumerate(panels, start=1):
            draw(figure.add_subplot(2, 2, place))
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    return out.getvalue()


def dress_panel(axes: Axes, *, title: str, below: str) -> None:
    """Title, what the horizontal axis shows, and lines that help to read values."""
    axes.set_xlabel(below)
    axes.set_title(title, fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e5e5e5", linewidth=0.8)


def draw_line(
    axes: Axes,
    across: Sequence[float],
    values: Sequence[float],
    errors: Sequence[float] | None,
    *,
    colour: str,
    mark: str,
    name: str,
) -> None:
    """Values over `across`, from left to right; `errors` are standard errors, of which bars show two."""
    order = sorted(range(len(across)), key=across.__getitem__)
    axes.errorbar(
        [across[place] for place in order],
        [values[place] for place in order],
        yerr=None if errors is None else [2 * errors[place] for place in order],
        color=colour,
        marker=mark,
        linewidth=1.6,
        elinewidth=0.8,
        markersize=4,
        label=name,
    )
