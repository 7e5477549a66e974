"""The figure of the augmentation graph: labelling error, connectivity, bound and best radius.

Error bars are two standard errors. Equal results give equal bytes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.ticker import LogLocator, NullFormatter, NullLocator, StrMethodFormatter

from ops.theory.best_radius import GraphSummary
from ops.theory.panels import draw_line, draw_panels, dress_panel

SHADES, LIGHTEST = colormaps["viridis"], 0.85  # dark for few samples; told apart without colour, too
MARKS = "oDs^vPX"
RADIUS = "radius of the augmentation"


def draw_graph_figure(found: GraphSummary) -> str:
    """The SVG of four panels; a gap in a line of the bound is where it is infinite."""
    return draw_panels(
        [
            lambda axes: _draw_labelling_error(axes, found),
            lambda axes: _draw_connectivity(axes, found),
            lambda axes: _draw_bound(axes, found),
            lambda axes: _draw_best_radius(axes, found),
        ]
    )


def _draw_labelling_error(axes: Axes, found: GraphSummary) -> None:
    draw_line(axes, found.radius, found.labelling_error, None, colour="#555555", mark="o", name="")
    axes.set_ylim(bottom=0)
    dress_panel(axes, title="labelling error α, for any number of samples", below=RADIUS)


def _draw_connectivity(axes: Axes, found: GraphSummary) -> None:
    for number in _order(found.samples):
        draw_line(axes, found.radius, found.connectivity[number], found.connectivity_se[number], **_mark(found, number))
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, fontsize=9, title="samples")
    dress_panel(axes, title=f"connectivity: eigenvalue number {found.features + 1}", below=RADIUS)


def _draw_bound(axes: Axes, found: GraphSummary) -> None:
    for number in _order(found.samples):
        values = [math.nan if value is None else value for value in found.bound[number]]
        draw_line(axes, found.radius, values, None, **_mark(found, number))
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    dress_panel(axes, title="bound of the probe's error, by constants from memory", below=RADIUS)


def _draw_best_radius(axes: Axes, found: GraphSummary) -> None:
    """A point for each number of samples that has a best radius."""
    for number, (best, error) in enumerate(zip(found.best_radius, found.best_radius_se, strict=True)):
        if best is not None:
            mark = _mark(found, number)
            spread = None if error is None else 2 * error
            axes.errorbar(
                found.samples[number], best, yerr=spread, color=mark["colour"], marker=mark["mark"], capsize=3
            )
    axes.set_xscale("log")
    axes.set_xticks(found.samples, [f"{count:,}" for count in found.samples])
    axes.xaxis.set_minor_locator(NullLocator())
    dress_panel(axes, title="radius at which the bound is least", below="samples")


def _mark(found: GraphSummary, number: int) -> dict[str, str]:
    """Colour, mark and name of the line of so many samples."""
    rank = _order(found.samples).index(number)
    shade = LIGHTEST * rank / max(1, len(found.samples) - 1)
    return {"colour": to_hex(SHADES(shade)), "mark": MARKS[rank % len(MARKS)], "name": f"{found.samples[number]:,}"}


def _order(values: Sequence[float]) -> list[int]:
    return sorted(range(len(values)), key=values.__getitem__)
