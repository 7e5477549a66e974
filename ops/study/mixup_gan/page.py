"""What the page of a study shows of a part `mixup_gan`."""

from __future__ import annotations

import polars as pl

from ops.study.figure import Panel
from ops.study.mixup_gan.bench import name_arm
from ops.study.mixup_gan.design import MixupGanPart
from ops.study.mixup_gan.mixtures import MIXTURES, POINTS, REACH
from ops.study.summary import Difference, average_networks, average_seeds, compare, find_difference
from ops.study.tables import NOTHING, format_difference, format_table, order_keys

CONFIDENCE = 0.95


def render(part: MixupGanPart, table: pl.DataFrame) -> list[str]:
    """The means of each measure, and each arm's difference to the first one, paired by seed."""
    lines = [
        f"Of {POINTS:,} generated points, those of *high quality* lie within {REACH} standard deviations of a mode;"
        " their share is given in %. *Modes* are those that are the nearest one to some point of high quality. Two"
        " batches are mixed with weights of Uniform(0, a). Differences are paired by seed, with 95 % intervals over the"
        " seeds.",
        "",
    ]
    for measure in part.measures:
        lines += [f"Mean {measure.replace('_', ' ')}:", "", *_format_means(part, table, measure), ""]
        lines += _format_differences(part, table, measure)
    return lines


def list_rows(name: str, part: MixupGanPart, table: pl.DataFrame) -> list[list[Panel]]:
    """The share of the modes that is covered, or of the points of high quality, over a; a line for each mixture."""
    measure = part.measures[0]
    values = average_networks(table, measure)
    panels = []
    for steps in sorted(set(values["steps"])):
        lines = dict[str, dict[str, Difference]]()
        for mixture in part.mixtures:
            whole = len(MIXTURES[mixture]()) if measure == "modes" else 1
            own = values.filter((pl.col("setting") == mixture) & (pl.col("steps") == steps))
            lines[mixture] = {
                f"{mixing:g}": find_difference(rows["value"].to_numpy() / whole, CONFIDENCE)
                for mixing in part.mixing
                if len(rows := own.filter(pl.col("arm") == name_arm(mixing)))
            }
        label = "modes covered, %" if measure == "modes" else "points of high quality, %"
        places = [f"{mixing:g}" for mixing in sorted(part.mixing)]
        panels.append(Panel(f"{name}, {steps:,} steps", label, places, lines, below="a"))
    return [panels]


def _format_means(part: MixupGanPart, table: pl.DataFrame, measure: str) -> list[str]:
    means = average_seeds(average_networks(table, measure))
    found = {(s, n, arm): value for s, n, arm, value in means.select("setting", "steps", "arm", "value").iter_rows()}
    seeds = {(s, n): count for s, n, count in means.select("setting", "steps", "seeds").iter_rows()}
    arms = [name_arm(mixing) for mixing in part.mixing]
    rows = []
    for mixture, steps in order_keys(part.steps, part.mixtures, seeds):
        scale, whole = (1, f" of {len(MIXTURES[mixture]())}") if measure == "modes" else (100, "")
        values = [found.get((mixture, steps, arm)) for arm in arms]
        cells = [NOTHING if value is None else f"{scale * value:.1f}{whole}" for value in values]
        rows.append([mixture, f"{steps:,}", str(seeds[mixture, steps]), *cells])
    return format_table(["mixture", "steps", "seeds", *arms], rows)


def _format_differences(part: MixupGanPart, table: pl.DataFrame, measure: str) -> list[str]:
    values, (reference, *others) = average_networks(table, measure), [name_arm(mixing) for mixing in part.mixing]
    gaps = {arm: compare(values, arm, reference) for arm in others}
    keys = {key: None for found in gaps.values() for key in found}
    rows = [
        [mixture, f"{steps:,}"]
        + [format_difference(gaps[arm].get((mixture, steps)), 1 if measure == "modes" else 100) for arm in others]
        for mixture, steps in order_keys(part.steps, part.mixtures, keys)
    ]
    heads = [f"{arm} − {reference}" for arm in others]
    return [*format_table(["mixture", "steps", *heads], rows), ""] if others else []
