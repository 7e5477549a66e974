"""Charts of the report as inline SVG: small, repeatable byte for byte, readable in light and dark themes.

matplotlib draws with placeholder colours, which are then replaced by CSS custom properties, so the page's theme
colours the chart. Text stays text, in the page's own font. Widths are CSS pixels: each chart is drawn for a wide and
for a narrow screen, because scaling would make it unreadable.

It does not know files, stages or the rest of the page: figures in, markup out.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator, StrMethodFormatter

WIDE, NARROW, SMALL = 760, 340, 230
_STACKED_BELOW = 500  # narrower than this, an arm's name stands above its line instead of beside it
_LONGEST_NAME = 28
_DPI = 72  # one point is then one pixel

# Placeholder colours, which no chart uses otherwise, and their replacements.
_INK, _MUTED, _GRID, _PAPER = "#010101", "#020202", "#030303", "#040404"
_KINDS = {"baseline": "#050505", "placebo": "#050505", "expanded": "#060606"}
_MARKERS = {"baseline": "o", "placebo": "o", "expanded": "D"}
_VARIABLES = {
    _INK: "currentColor",
    _MUTED: "var(--muted)",
    _GRID: "var(--line)",
    _PAPER: "var(--paper)",
    _KINDS["baseline"]: "var(--baseline)",
    _KINDS["expanded"]: "var(--expanded)",
}
_FAMILY = re.compile(r"font-family: [^;\"]*;? ?")
_GLOBAL_STYLE = re.compile(r"<defs>\s*<style.*?</style>\s*</defs>\s*", re.DOTALL)


def draw_arms(
    arms: Sequence[Mapping[str, Any]], *, metric: str, challenger: str, baseline: str, confidence: float, width: int
) -> str:
    """Test score of each trained arm with its interval, best first; filled marks are the two compared arms.

    `arms` are rows of verdict.json; aliases are left out, because they would show a training twice. `metric` is the
    name of the score.
    """
    rows = sorted((arm for arm in arms if arm["same_as"] is None), key=lambda arm: arm["score"]["estimate"])
    stacked = width < _STACKED_BELOW
    step = 46 if stacked else 34
    notes = {challenger: "challenger", baseline: "picked baseline"}
    longest = max(len(_shorten(arm["arm"])) for arm in rows)
    left = 10 if stacked else 18 + 9.6 * longest  # bold letters of a wide font

    def paint(axes: Axes) -> None:
        axes.set_ylim(-0.55, len(rows) - (0.25 if stacked else 0.45))
        axes.set_yticks([])
        for y, arm in enumerate(rows):
            _draw_arm(axes, y, arm, notes.get(arm["arm"]), stacked=stacked)
        axes.grid(axis="x", color=_GRID, linewidth=1)
        axes.xaxis.set_major_locator(MaxNLocator(5 if stacked else 7, steps=[1, 2, 2.5, 5, 10], min_n_ticks=2))
        axes.margins(x=0.04)
        axes.set_xlabel(f"{metric} on the test images, %", color=_MUTED)

    title = f"Each arm's {metric} on the test images, with its {100 * confidence:g} % interval"
    lines = []
    for arm in reversed(rows):
        value, note = arm["score"], f", {notes[arm['arm']]}" if arm["arm"] in notes else ""
        spread = f"{100 * value['low']:.1f} to {100 * value['high']:.1f}"
        lines.append(f"{arm['arm']} ({arm['kind']}{note}): {100 * value['estimate']:.1f} %, {spread}")
    right = 16 if stacked else 185
    return _draw(
        f"arms-{width}",
        title,
        "; ".join(lines) + ".",
        paint,
        size=(width, step * len(rows) + 48),
        margins=(left, 40, right, 4),
    )


def draw_curve(
    name: str,
    title: str,
    steps: Sequence[int],
    values: Sequence[float],
    *,
    width: int,
    marked: int | None = None,
    level: tuple[str, float] | None = None,
) -> str:
    """A quantity of the generator over its optimizer steps, of at least two values.

    `marked` is the step whose value is written beside it, by default the last; `level` is a label and the value that
    real images have.
    """
    at = len(steps) - 1 if marked is None else list(steps).index(marked)

    def paint(axes: Axes) -> None:
        axes.plot(steps, values, color=_KINDS["expanded"], linewidth=2, solid_joinstyle="round")
        axes.plot(steps[at], values[at], "o", color=_KINDS["expanded"], markersize=7, clip_on=False)
        axes.annotate(
            f"{values[at]:.3g}",
            (steps[at], values[at]),
            (8, 0),
            textcoords="offset points",
            va="center",
            color=_INK,
            fontweight="bold",
            annotation_clip=False,
        )
        if level is not None:
            axes.axhline(level[1], color=_MUTED, linewidth=1.5, linestyle=(0, (4, 3)))
            axes.annotate(
                level[0], (0, level[1]), (4, 4), textcoords="offset points", color=_MUTED, annotation_clip=False
            )
            axes.set_ylim(0, None)
        axes.grid(axis="y", color=_GRID, linewidth=1)
        axes.set_xlim(0, steps[-1])
        axes.xaxis.set_major_locator(MaxNLocator(4 if width < _STACKED_BELOW else 8, integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(5))
        axes.set_xlabel("optimizer step", color=_MUTED)

    description = f"From {values[0]:.3g} at step {steps[0]} to {values[-1]:.3g} at step {steps[-1]}."
    if level is not None:
        description += f" {level[0].capitalize()}: {level[1]:.3g}."
    size = (width, 240 if width >= _STACKED_BELOW else 200)
    left, right = 12 + 8 * max(4, len(f"{max(values):.0f}")), 16 + 9 * max(4, len(f"{values[-1]:.3g}"))
    return _draw(f"{name}-{width}", title, description, paint, size=size, margins=(left, 40, right, 8))


def draw_classes(rows: Sequence[Mapping[str, Any]], *, challenger: str, baseline: str, width: int) -> str:
    """The challenger's difference to the baseline on each class over the class's training images; filled where clear.

    `rows` are those of verdict.json that have test images.
    """
    sizes, gaps = [row["train_images"] for row in rows], [row["difference"] for row in rows]

    def paint(axes: Axes) -> None:
        axes.axhline(0, color=_MUTED, linewidth=1.5)
        for row, size, gap in zip(rows, sizes, gaps, strict=True):
            low, centre, high = (max(-100.0, min(100.0, 100 * gap[key])) for key in ("low", "estimate", "high"))
            axes.plot([size, size], [low, high], color=_KINDS["expanded"], linewidth=1.5)
            fill = _KINDS["expanded"] if row["clear"] else _PAPER
            axes.plot(
                [size], [centre], _MARKERS["expanded"], color=_KINDS["expanded"], markerfacecolor=fill, markersize=7
            )
        axes.set_xscale("log")
        is_narrow = width < _STACKED_BELOW
        near = max(sizes) <= (10 if is_narrow else 100) * min(sizes)  # room for more than powers of ten
        axes.xaxis.set_major_locator(LogLocator(10, (1, 2, 5) if near else (1,), numticks=4 if is_narrow else 12))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_locator(MaxNLocator(5))
        axes.grid(axis="y", color=_GRID, linewidth=1)
        axes.set_xlabel("training images of the class", color=_MUTED)
        axes.set_ylabel("points", color=_MUTED)

    title = f"{challenger} minus {baseline} on each class, by the class's training images"
    words = (
        f"{row['name']} ({size:,}): {100 * gap['estimate']:+.1f}"
        for row, size, gap in zip(rows, sizes, gaps, strict=True)
    )
    return _draw(
        f"classes-{width}", title, "; ".join(words) + ".", paint,
        size=(width, 260 if width >= _STACKED_BELOW else 220), margins=(62, 44, 16, 8),
    )  # fmt: skip


def draw_lengths(points: Sequence[Mapping[str, Any]], *, metric: str, width: int) -> str:
    """Validation score of one or two arms over the optimizer steps of their trainings, with the last one in figures.

    `points` are those of the curve in verdict.json. An arm with generated images has a dashed line and other marks. An
    arm that takes no steps is a level line. A narrow chart has no room for the names; the page's legend has them.
    """
    arms = {point["arm"]: point["kind"] for point in points}
    lines = {arm: [(p["steps"], 100 * p["validation"]) for p in points if p["arm"] == arm] for arm in arms}
    names = {arm: "" if width < _STACKED_BELOW else f"{_shorten(arm)} " for arm in arms}
    ordered = sorted(arms, key=lambda arm: lines[arm][-1][1])  # a label of the higher end stands higher

    every = sorted({steps for line in lines.values() for steps, _ in line if steps}) or [1]

    def paint(axes: Axes) -> None:
        for arm, kind in arms.items():
            style = (0, (5, 2)) if kind == "expanded" else "solid"
            steps, scores = zip(*lines[arm], strict=True)
            if not any(steps):
                axes.axhline(scores[-1], color=_KINDS[kind], linewidth=2, linestyle=(0, (1, 2)))
                continue
            axes.plot(steps, scores, color=_KINDS[kind], linewidth=2, linestyle=style)
            axes.plot(steps, scores, _MARKERS[kind], color=_KINDS[kind], markersize=7, linestyle="none", clip_on=False)
        for arm, shift in zip(ordered, (-9, 9) if len(arms) == 2 else (0,), strict=True):
            steps, score = lines[arm][-1][0] or every[-1], lines[arm][-1][1]
            place: dict[str, Any] = {"textcoords": "offset points", "va": "center"}
            label = f"{names[arm]}{score:.1f}"
            axes.annotate(
                label, (steps, score), (10, shift), color=_INK, parse_math=False, annotation_clip=False, **place
            )
        axes.set_xscale("log", base=2)
        axes.set_xticks(every, [f"{steps:,}" for steps in every])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_locator(MaxNLocator(5))
        axes.grid(axis="y", color=_GRID, linewidth=1)
        axes.margins(x=0.06, y=0.12)
        axes.set_xlabel("optimizer steps", color=_MUTED)
        axes.set_ylabel(f"{metric}, %", color=_MUTED)

    words = "; ".join(
        f"{arm}: "
        + ", ".join(f"{score:.1f} % {f'after {steps:,}' if steps else 'without'} steps" for steps, score in line)
        for arm, line in lines.items()
    )
    right = 16 + 8.5 * (max(map(len, names.values())) + 4)
    return _draw(
        f"lengths-{width}", f"{metric.capitalize()} on the validation images against steps", f"{words}.", paint,
        size=(width, 260 if width >= _STACKED_BELOW else 220), margins=(68, 44, right, 8),
    )  # fmt: skip


def draw_training(arm: str, kind: str, losses: Sequence[float], steps: int, *, top: float) -> str:
    """One arm's training loss as a small chart, for a row of charts whose axes all reach from 0 to `top`.

    `losses` are means over equal parts of `steps` optimizer steps; the last part may be shorter.
    """
    ends = [min(steps, part * -(-steps // len(losses))) for part in range(1, len(losses) + 1)]

    def paint(axes: Axes) -> None:
        axes.plot(ends, losses, color=_KINDS[kind], linewidth=2, solid_joinstyle="round")
        axes.plot(ends[-1:], losses[-1:], _MARKERS[kind], color=_KINDS[kind], markersize=6, clip_on=False)
        axes.grid(axis="y", color=_GRID, linewidth=1)
        axes.set_xlim(0, steps)
        axes.set_ylim(0, top)
        axes.set_xticks([0, steps], ["0", f"{steps:,}"])
        axes.get_xticklabels()[-1].set_horizontalalignment("right")
        axes.yaxis.set_major_locator(MaxNLocator(3))

    title = f"Training loss of {arm}"
    description = f"From {losses[0]:.3g} to {losses[-1]:.3g} in {steps} steps; the axis ends at {top:.3g}."
    return _draw(
        f"training-{arm}", title, description, paint, size=(SMALL, 104), margins=(12 + 8 * len(f"{top:.3g}"), 24, 8, 8)
    )


def _draw_arm(axes: Axes, y: int, arm: Mapping[str, Any], note: str | None, *, stacked: bool) -> None:
    low, centre, high = (100 * arm["score"][key] for key in ("low", "estimate", "high"))
    colour = _KINDS[arm["kind"]]
    axes.plot([low, high], [y, y], color=colour, linewidth=2.5 if note else 1.5, solid_capstyle="round")
    axes.plot(
        [centre],
        [y],
        _MARKERS[arm["kind"]],
        markersize=10 if note else 8,
        markeredgewidth=2,
        markeredgecolor=colour,
        markerfacecolor=colour if note else _PAPER,
    )
    weight = "bold" if note else "normal"
    value = f"{centre:.1f}" if note is None else f"{centre:.1f} · {note}"
    # Stacked, name and value share a line; bold letters of a wide font take 9.3 pixels, plain ones 7.5.
    name = _shorten(arm["arm"], int((NARROW - 34 - 7.5 * len(value)) / 9.3) if stacked else _LONGEST_NAME)
    if stacked:
        place: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points"}
        axes.annotate(
            name, (0, y), (0, 15), va="center", ha="left", color=_INK, fontweight=weight, parse_math=False, **place
        )
        axes.annotate(value, (1, y), (0, 15), va="center", ha="right", color=_INK if note else _MUTED, **place)
        return
    beside: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points", "va": "center"}
    axes.annotate(name, (0, y), (-14, 0), ha="right", color=_INK, fontweight=weight, parse_math=False, **beside)
    axes.annotate(value, (1, y), (14, 0), ha="left", color=_INK if note else _MUTED, fontweight=weight, **beside)


def _draw(
    name: str,
    title: str,
    description: str,
    paint: Callable[[Axes], None],
    *,
    size: tuple[int, int],
    margins: tuple[float, float, float, float],
) -> str:
    """Paint on axes without a frame and return the SVG; `margins` are left, bottom, right, top in pixels."""
    width, height = size
    left, bottom, right, top = margins
    settings: dict[Any, Any] = {
        "svg.hashsalt": name,
        "svg.fonttype": "none",
        "font.family": ["DejaVu Sans"],
        "font.size": 13,
    }
    with matplotlib.rc_context(settings):
        figure = Figure(figsize=(width / _DPI, height / _DPI), dpi=_DPI)
        FigureCanvasSVG(figure)
        box = (left / width, bottom / height, 1 - (left + right) / width, 1 - (bottom + top) / height)
        axes = figure.add_axes(box, frameon=False)
        axes.tick_params(length=0, colors=_MUTED, labelsize=12, pad=6)
        axes.set_axisbelow(True)
        paint(axes)
        buffer = io.StringIO()
        blank = {"Date": None, "Creator": None, "Format": None, "Type": None}
        figure.savefig(buffer, format="svg", transparent=True, metadata=blank)
    return _embed(buffer.getvalue(), name, title, description, size)


def _embed(svg: str, name: str, title: str, description: str, size: tuple[int, int]) -> str:
    """Adapt a standalone SVG to the page: theme colours, the page's font, text alternatives and unique ids."""
    body = svg[svg.index(">", svg.index("<svg")) + 1 : svg.rindex("</svg>")]
    # matplotlib's style for `*` would apply to the whole page; attributes of the root replace it.
    body = _FAMILY.sub("", _GLOBAL_STYLE.sub("", body))
    body = body.replace("xlink:href=", "href=")
    body = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", body)
    for stand_in, variable in _VARIABLES.items():
        body = body.replace(stand_in, variable)
    return (
        f'<svg role="img" viewBox="0 0 {size[0]} {size[1]}" aria-labelledby="{name}-title {name}-desc"'
        f' stroke-linejoin="round" stroke-linecap="butt">'
        f'<title id="{name}-title">{escape(title)}</title><desc id="{name}-desc">{escape(description)}</desc>'
        f"{body.strip()}</svg>"
    )


def _shorten(name: str, longest: int = _LONGEST_NAME) -> str:
    return name if len(name) <= longest else f"{name[: longest - 1]}…"
