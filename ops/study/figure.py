"""The figure of a study: lines over places, such as the advantage of each arm at each setting.

Each part has a row or several, whose panels share their vertical axis. Error bars are intervals over the seeds, where
there are several. What is drawn is the choice of the part's kind. Equal results give equal bytes.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from ops.study.summary import Difference

# Of Okabe and Ito: told apart by most colour-blind people; the marks tell them apart without colour.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#555555", "#a6761d", "#332288", "#999933")
MARKS = "oDs^vPXd*<"
WIDTH = 32  # characters that stand side by side below a panel
HEIGHT, LINE = 3.4, 0.19  # inches: of a panel at least, and of a name in the legend
APART = 0.06  # of a scale's length that lies between the numbers that are written below it, at least
ASIDE = 0.8  # of the distance between two names, over which the points of one are spread


@dataclass(frozen=True)
class Panel:
    """One drawing.

    label: of the vertical axis. places: names along the horizontal axis, in their order; a scale, where all are
    numbers. below: what they are. lines: for each name in the legend, its value at each place that has one; it is drawn
    times `scale`. dashed: the lines that are; their marks are hollow. laws: values of a law that was fitted to a line,
    by its name; the law is then drawn in the place of the line between its marks.
    """

    title: str
    label: str
    places: Sequence[str]
    lines: Mapping[str, Mapping[str, Difference]]
    dashed: Sequence[str] = ()
    below: str = ""
    scale: float = 100.0
    laws: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


def draw_figure(rows: Sequence[Sequence[Panel]]) -> str:
    """The SVG of some rows of panels."""
    columns = max(len(panels) for panels in rows)
    heights = [max(HEIGHT, 0.8 + LINE * max(len(panel.lines) for panel in panels)) for panels in rows]
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "growset", "font.family": "sans-serif"}):
        figure = Figure(figsize=(1.8 + 3.4 * columns, sum(heights)), layout="constrained")
        FigureCanvasSVG(figure)
        parts = figure.subfigures(len(rows), 1, height_ratios=heights, squeeze=False)[:, 0]
        for part, panels in zip(parts, rows, strict=True):
            axes: Axes | None = None
            for column, panel in enumerate(panels):
                axes = part.add_subplot(1, len(panels), column + 1, sharey=axes)
                _draw_panel(axes, panel)
                if column == 0:
                    axes.set_ylabel(panel.label)
            if axes is not None:
                axes.legend(loc="center left", bbox_to_anchor=(1.02, 0.5), frameon=False, fontsize=9)
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    return out.getvalue()


def _draw_panel(axes: Axes, panel: Panel) -> None:
    """Lines over numbers; over names, points beside each other."""
    is_numeric = all(name.replace(".", "", 1).isdigit() for name in panel.places)
    places = {name: float(name) if is_numeric else float(number) for number, name in enumerate(panel.places)}
    axes.axhline(0, color="#888888", linewidth=1)
    for number, (name, found) in enumerate(panel.lines.items()):
        shown = [place for place in panel.places if place in found]
        aside = 0.0 if is_numeric else ASIDE * ((number + 0.5) / len(panel.lines) - 0.5)
        colour, is_dashed = COLOURS[number % len(COLOURS)], name in panel.dashed
        axes.errorbar(
            [places[place] + aside for place in shown],
            [panel.scale * found[place].mean for place in shown],
            yerr=[panel.scale * (found[place].half_width or 0.0) for place in shown],
            color=colour,
            marker=MARKS[(number + number // len(COLOURS)) % len(MARKS)],  # no two lines share colour and mark
            markerfacecolor="white" if is_dashed else colour,
            linestyle=("--" if is_dashed else "-") if is_numeric and name not in panel.laws else "none",
            linewidth=1.6,
            elinewidth=0.8,
            markersize=5,
            label=name,
        )
        if law := panel.laws.get(name):
            over = [place for place in panel.places if place in law]
            axes.plot([places[each] for each in over], [panel.scale * law[each] for each in over], color=colour)
    is_log = is_numeric and min(places.values()) > 0
    if is_log:
        axes.set_xscale("log")
    named = _thin_out(places, is_log=is_log) if is_numeric else places
    axes.xaxis.set_major_locator(FixedLocator(list(named.values())))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(list(named.values()), list(named))
    if sum(map(len, named)) > WIDTH:
        for label in axes.get_xticklabels():
            label.set(rotation=20, horizontalalignment="right")
    axes.set_title(panel.title, fontsize=10)
    axes.set_xlabel(panel.below)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e5e5e5", linewidth=0.8)


def _thin_out(places: Mapping[str, float], *, is_log: bool) -> dict[str, float]:
    """The numbers that have room for their names, from the smallest on."""
    along = {name: math.log(place) if is_log else place for name, place in places.items()}
    least = APART * (max(along.values()) - min(along.values()))
    kept = list[str]()
    for name in sorted(along, key=along.__getitem__):
        if not kept or along[name] - along[kept[-1]] >= least:
            kept.append(name)
    return {name: place for name, place in places.items() if name in kept}
