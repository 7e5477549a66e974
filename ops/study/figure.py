"""The figure of a study: by how many points each arm lies above the first one, over the settings, for each length.

Each part is a row, each number of steps a panel. Arms without generated images are dashed. Error bars are the
intervals of the paired differences, where there are several seeds. Equal results give equal bytes.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from ops.study.summary import Difference

# Of Okabe and Ito: told apart by most colour-blind people; the marks tell them apart without colour.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#555555", "#a6761d", "#332288", "#999933")
MARKS = "oDs^vPXd*<"


@dataclass(frozen=True)
class Panel:
    """One number of steps of a part.

    settings: in the order of the design. above: for each arm, its difference to `reference` at each setting that has
    one. dashed: arms without generated images.
    """

    title: str
    reference: str
    settings: Sequence[str]
    above: Mapping[str, Mapping[str, Difference]]
    dashed: Sequence[str]


def draw_figure(rows: Sequence[Sequence[Panel]], *, unit: str = "points") -> str:
    """The SVG of the panels of each part."""
    columns = max(len(panels) for panels in rows)
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "growset", "font.family": "sans-serif"}):
        figure = Figure(figsize=(1.6 + 3.4 * columns, 3.4 * len(rows)), layout="constrained")
        FigureCanvasSVG(figure)
        for row, panels in enumerate(rows):
            axes: Axes | None = None
            for column, panel in enumerate(panels):
                axes = figure.add_subplot(len(rows), columns, row * columns + column + 1, sharey=axes)
                _draw_panel(axes, panel)
                if column == 0:
                    axes.set_ylabel(f"{unit} above {panel.reference}")
            if axes is not None:
                axes.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), frameon=False, fontsize=9)
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    return out.getvalue()


def _draw_panel(axes: Axes, panel: Panel) -> None:
    is_numeric = all(name.replace(".", "", 1).isdigit() for name in panel.settings)
    places = {name: float(name) if is_numeric else float(place) for place, name in enumerate(panel.settings)}
    axes.axhline(0, color="#888888", linewidth=1)
    for number, (arm, found) in enumerate(panel.above.items()):
        shown = [setting for setting in panel.settings if setting in found]
        axes.errorbar(
            [places[setting] for setting in shown],
            [100 * found[setting].mean for setting in shown],
            yerr=[100 * (found[setting].half_width or 0.0) for setting in shown],
            color=COLOURS[number % len(COLOURS)],
            marker=MARKS[number % len(MARKS)],
            linestyle="--" if arm in panel.dashed else "-",
            linewidth=1.6,
            elinewidth=0.8,
            markersize=5,
            label=arm,
        )
    if is_numeric and min(places.values()) > 0:
        axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator(list(places.values())))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(list(places.values()), list(places))
    axes.set_title(panel.title, fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e5e5e5", linewidth=0.8)
