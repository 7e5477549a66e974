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
