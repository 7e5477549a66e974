"""The figure of a simulation: gap, risk and bound over the number of generated samples for each real one.

Error bars are two standard errors. Equal results give equal bytes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from operator import itemgetter

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, NullLocator

from ops.theory.panels import draw_line, draw_panels, dress_panel
from ops.theory.summary import Summary

COLOURS, MARKS = ("#0072b2", "#d55e00"), "oD"  # of Okabe and Ito: told apart by most colour-blind people
APART = 0.06  # of the axis between two numbers that are written below it, at least

Line = tuple[Sequence[float], Sequence[float] | None]
"""Values at each γ, and their standard errors where they have any."""


def draw_figure(found: Summary) -> str:
    """The SVG of four panels; the horizontal axis is the logarithm of 1 + γ, on which 0 has a place."""
    panels: dict[str, Mapping[str, Line]] = {
        "NLL, in nats: the gap": {"gap": (found.nll_gap, found.nll_gap_se)},
        "NLL on new samples, which counts": {
            "simulated": (found.test_nll, found.test_nll_se),
            "closed form": (found.expected_test_nll, None),
        },
        "share of errors": {
            "gap": (found.zero_one_gap, found.zero_one_gap_se),
            "on new samples": (found.test_error, found.test_error_se),
        },
        "bound of the NLL's gap, up to constants": {
            "corrected": (found.bound, None),
            "published": (found.published_bound, None),
        },
    }
    return draw_panels(
        [partial(_draw_panel, title=title, gamma=found.gamma, lines=lines) for title, lines in panels.items()]
    )


def _draw_panel(axes: Axes, title: str, gamma: Sequence[float], lines: Mapping[str, Line]) -> None:
    across = [math.log1p(value) for value in gamma]
    for (name, (values, errors)), colour, mark in zip(lines.items(), COLOURS, MARKS, strict=False):
        draw_line(axes, across, values, errors, colour=colour, mark=mark, name=name)
    named = _thin_out({f"{gamma[number]:g}": place for number, place in sorted(enumerate(across), key=itemgetter(1))})
    axes.xaxis.set_major_locator(FixedLocator(list(named.values())))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(list(named.values()), list(named))
    dress_panel(axes, title=title, below="generated samples for each real one")
    if len(lines) > 1:
        axes.legend(frameon=False, fontsize=9)


def _thin_out(places: Mapping[str, float]) -> dict[str, float]:
    """The numbers that have room for their names, from the smallest on."""
    least, kept = APART * (max(places.values()) - min(places.values())), dict[str, float]()
    for name, place in places.items():
        if not kept or place - max(kept.values()) >= least:
            kept[name] = place
    return kept
