"""What a page shows of the gains of generated images as a law: its parameters, residuals and panels.

The law and its fit are those of `ops.study.gain_curve`. A law is fitted for each of the part's `gains`, each baseline
with arms of several ratios and each number of steps, to what complete blocks have so far.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl

from ops.recipe.ratios import list_ratios
from ops.study.changes import join_changes
from ops.study.design import ClassifierPart
from ops.study.figure import Panel
from ops.study.gain_curve import CENTRE, PARAMETERS, GainCurve, Gains, can_fit, find_ends, fit_gains
from ops.study.measures import MEASURES, name_measure
from ops.study.part_arms import read_arms
from ops.study.sections import PER_CLASS
from ops.study.summary import Difference, average_networks, find_difference
from ops.study.tables import NOTHING, format_table

DRAWS, SEED = 2000, 0  # of the intervals, so that a page is drawn alike again
CONFIDENCE = 0.95
LAW = f"(growth + growth_slope z) ln(1 + m/n) + (share + share_slope z) m/(n + m), z = ln(n / {CENTRE:g})"


@dataclass(frozen=True, eq=False)
class Series:
    """The gains of one of the part's `gains` over a baseline, in the unit of the page.

    arms: by their ratio. measured: of each number of real images that has a complete block. curve: None where they do
    not decide a law.
    """

    name: str
    over: str
    steps: int
    arms: Mapping[float, str]
    measured: list[Gains]
    curve: GainCurve | None


def list_series(part: ClassifierPart, table: pl.DataFrame) -> list[Series]:
    """All series that have something measured. table: rows of complete blocks."""
    if not part.gains:
        return []
    values, scale, found = average_networks(table, part.measures[0]), MEASURES[part.measures[0]].scale, []
    for name, settings in part.gains.items():
        for over, arms in list_ratios(*read_arms(part)).items():
            for steps in sorted(part.steps):
                own = values.filter(pl.col("steps") == steps)
                measured = [gains for each in settings if (gains := _read_gains(part, own, each, over, arms, scale))]
                curve = fit_gains(measured, DRAWS, np.random.default_rng(SEED)) if can_fit(measured) else None
                if measured:
                    found.append(Series(name, over, steps, arms, measured, curve))
    return found


def _read_gains(
    part: ClassifierPart, values: pl.DataFrame, setting: str, over: str, arms: Mapping[float, str], scale: float
) -> Gains | None:
    """The gains of the seeds of a setting that have all its arms; None where no seed has."""
    real = float(join_changes(part.set, part.settings[setting])[PER_CLASS])
    trained = {ratio: arm for ratio, arm in arms.items() if arm not in part.leave_out.get(setting, ())}
    rows = values.filter(pl.col("setting") == setting, pl.col("arm").is_in([over, *trained.values()]))
    if rows.is_empty() or not trained:
        return None
    wide = rows.pivot(on="arm", index="seed", values="value").drop_nulls()
    if wide.is_empty():
        return None
    seen = wide.select(trained.values()).to_numpy() - wide.select(over).to_numpy()
    return Gains(real, [ratio * real for ratio in trained], scale * seen)


def render_gains(part: ClassifierPart, table: pl.DataFrame) -> list[str]:
    """The law's parameters, then the law beside what was measured; no line where the part asks for no law."""
    if not (series := list_series(part, table)):
        return []
    fitted = [each for each in series if each.curve is not None]
    measure = MEASURES[part.measures[0]]
    what = f"gain in {name_measure(part.measures[0])} over the same arm on real images" + (
        measure.step and f", in {measure.step}"
    )
    lines = [
        f"The {what}, by n real and m generated images per class: {LAW}. It is fitted to the means over seeds, with"
        " 95 % intervals for other seeds. Where errors are enlarged, the law does not fit as well as the seeds repeat.",
        "",
    ]
    if not fitted:
        return [*lines, "No law is fitted yet: it needs two numbers of real images with two of generated ones.", ""]
    heads = ["gains", "over", "steps", *PARAMETERS, "errors enlarged by"]
    lines += [*format_table(heads, [_list_parameters(each) for each in fitted]), ""]
    ratios = sorted({ratio for each in fitted for ratio in each.arms})
    lines += [
        "The law's gain with its interval, then the measured mean minus the law:",
        "",
        *format_table(
            ["gains", "over", "steps", "n", "seeds", *(f"m = {ratio:g} n" for ratio in ratios)],
            [row for each in fitted for row in _list_residuals(each, ratios)],
        ),
        "",
    ]
    return lines


def _list_parameters(series: Series) -> list[str]:
    assert series.curve is not None, "only laws that were fitted are shown"
    curve = series.curve
    cells = [_show(float(values[0]), find_ends(values, CONFIDENCE), digits=2) for values in curve.parameters.T]
    enlarged = f"{curve.enlarged:.1f}" if curve.freedom else NOTHING
    return [series.name, series.over, f"{series.steps:,}", *cells, enlarged]


def _list_residuals(series: Series, ratios: list[float]) -> Iterator[list[str]]:
    assert series.curve is not None, "only laws that were fitted are shown"
    for gains, residuals in zip(series.measured, series.curve.residuals, strict=True):
        cells = dict.fromkeys(ratios, NOTHING)
        for generated, residual in zip(gains.generated, residuals, strict=True):
            law = float(series.curve.predict(gains.real, generated)[0])
            ends = series.curve.find_interval(gains.real, generated, CONFIDENCE)
            place = min(ratios, key=lambda ratio: abs(ratio - generated / gains.real))
            cells[place] = f"{_show(law, ends, digits=1)}; {residual:+.1f}"
        seeds = str(len(gains.seen))
        yield [series.name, series.over, f"{series.steps:,}", f"{gains.real:,.0f}", seeds, *cells.values()]


def _show(value: float, ends: tuple[float, float] | None, *, digits: int) -> str:
    interval = "" if ends is None else f" ({ends[0]:+.{digits}f} to {ends[1]:+.{digits}f})"
    return f"{value:+.{digits}f}{interval}"


def list_gain_panels(name: str, part: ClassifierPart, table: pl.DataFrame) -> list[list[Panel]]:
    """A row of panels for each baseline and number of steps: for each of `gains`, the gain over generated images per
    real one, a line for each number of real images. What is drawn without marks is the law."""
    rows, label = dict[tuple[str, int], list[Panel]](), f"{MEASURES[part.measures[0]].step} of gain".strip()
    for series in list_series(part, table):
        lines, laws = dict[str, dict[str, Difference]](), dict[str, dict[str, float]]()
        places = [f"{ratio:g}" for ratio in series.arms]
        for gains in series.measured:
            line, own = f"{gains.real:,.0f} real", [f"{count / gains.real:g}" for count in gains.generated]
            lines[line] = {
                place: find_difference(column, CONFIDENCE) for place, column in zip(own, gains.seen.T, strict=True)
            }
            if series.curve is not None:
                laws[line] = {
                    place: float(series.curve.predict(gains.real, float(ratio) * gains.real)[0])
                    for place, ratio in zip(places, series.arms, strict=True)
                }
        panel = Panel(
            f"{name}, {series.name} over {series.over}, {series.steps:,} steps",
            label,
            places,
            lines,
            below="generated images per real one",
            scale=1.0,
            laws=laws,
        )
        rows.setdefault((series.over, series.steps), []).append(panel)
    return list(rows.values())
