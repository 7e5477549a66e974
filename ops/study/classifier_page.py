"""What the page of a study shows of a part `classifiers`: means, differences, and what they are worth in labels."""

from __future__ import annotations

import polars as pl

from ops.recipe.arms import Arm
from ops.recipe.counterparts import name_kind, pair_counterparts
from ops.study.design import ClassifierPart
from ops.study.figure import Panel
from ops.study.measures import name_measure
from ops.study.summary import average_networks, average_seeds, compare, count_labels, find_best
from ops.study.tables import NOTHING, format_difference, format_table, order_keys


def render(part: ClassifierPart, table: pl.DataFrame) -> list[str]:
    """The means of each measure, the differences that the arms are made for, and what they are worth in real labels.

    Where no arm has generated images, each is compared with the first one, in every measure.
    """
    lines = list[str]()
    for measure in part.measures:
        means = average_seeds(average_networks(table, measure))
        lines += [f"Mean {name_measure(measure)}, %:", "", *_format_means(part, means), ""]
    for measure in part.measures[:1] if part.expanded else part.measures:
        if differences := _format_differences(part, average_networks(table, measure)):
            lines += [
                f"Differences in {name_measure(measure)}, in points, paired by seed, with 95 % intervals over the"
                " seeds:",
                "",
                *differences,
                "",
            ]
    values = average_networks(table, part.measures[0])
    if worth := _format_worth(part, average_seeds(values)):
        lines += [
            "The real labels per class that the best arm without generated images would need for the same score, read"
            " off its own curve:",
            "",
            *worth,
            "",
        ]
    return lines


def list_arms(part: ClassifierPart) -> tuple[list[str], list[str]]:
    """The arms that no generated image taught, ensembles and placebos among them, and the others."""
    baselines, expanded = _read_arms(part)
    kinds = {name: name_kind(name, baselines, expanded) for name in expanded}
    without = [*baselines, *part.ensembles, *(name for name, kind in kinds.items() if kind == "placebo")]
    return without, [name for name, kind in kinds.items() if kind == "expanded"]


def list_pairs(part: ClassifierPart) -> list[tuple[str, str]]:
    """Each arm with generated images beside the same one on real images, and with a placebo.

    Where no arm has generated images: each beside the first one.
    """
    if part.expanded:
        return pair_counterparts(*_read_arms(part), {})
    reference, *others = list_arms(part)[0]
    return [(arm, reference) for arm in others]


def _read_arms(part: ClassifierPart) -> tuple[dict[str, Arm], dict[str, Arm]]:
    return (
        {name: Arm.model_validate(keys) for name, keys in part.baselines.items()},
        {name: Arm.model_validate(keys) for name, keys in part.expanded.items()},
    )


def _format_means(part: ClassifierPart, means: pl.DataFrame) -> list[str]:
    without, grown = list_arms(part)
    arms = [*without, *grown]
    found = {(s, n, arm): value for s, n, arm, value in means.select("setting", "steps", "arm", "value").iter_rows()}
    seeds = {(s, n): count for s, n, count in means.select("setting", "steps", "seeds").iter_rows()}
    rows = []
    for setting, steps in order_keys(part.steps, tuple(part.settings), seeds):
        cells = [
            f"{100 * found[setting, steps, arm]:.1f}" if (setting, steps, arm) in found else NOTHING for arm in arms
        ]
        rows.append([setting, f"{steps:,}", str(seeds[setting, steps]), *cells])
    return format_table(["setting", "steps", "seeds", *arms], rows)


def _format_differences(part: ClassifierPart, values: pl.DataFrame) -> list[str]:
    without, grown = list_arms(part)
    means = average_seeds(values)
    best = {False: find_best(means, without), True: find_best(means, grown)}
    pairs = list_pairs(part)
    compared = {pair: compare(values, *pair) for pair in pairs}
    rows = []
    seeds = {(s, n): count for s, n, count in means.select("setting", "steps", "seeds").iter_rows()}
    for setting, steps in order_keys(part.steps, tuple(part.settings), seeds):
        key, cells = (setting, steps), list[str]()
        if grown:
            one, other = best[True].get(key), best[False].get(key)
            gap = compare(values, one, other).get(key) if one and other else None
            cells.append(NOTHING if gap is None else f"{format_difference(gap)}: {one} − {other}")
        cells += [format_difference(compared[pair].get(key)) for pair in pairs]
        rows.append([setting, f"{steps:,}", *cells])
    heads = ["best with − best without"] * bool(grown) + [f"{one} − {other}" for one, other in pairs]
    return format_table(["setting", "steps", *heads], rows) if heads else []


def _format_worth(part: ClassifierPart, means: pl.DataFrame) -> list[str]:
    """A row for each length and setting, where settings are numbers of labels."""
    if not all(setting.isdigit() for setting in part.settings):
        return []
    without, grown = list_arms(part)
    single = [arm for arm in without if arm not in part.ensembles]
    best, rows = find_best(means, single), []
    found = {(s, n, arm): value for s, n, arm, value in means.select("setting", "steps", "arm", "value").iter_rows()}
    seeds = {(s, n): count for s, n, count in means.select("setting", "steps", "seeds").iter_rows()}
    for setting, steps in order_keys(part.steps, tuple(part.settings), seeds):
        labels = [each for each in part.settings if (each, steps) in best]
        curve = [found[each, steps, best[each, steps]] for each in labels]
        cells = []
        for arm in grown:
            reached = found.get((setting, steps, arm))
            needed = None if reached is None else count_labels([float(each) for each in labels], curve, reached)
            cells.append(NOTHING if needed is None else f"{needed:.0f}")
        rows.append([setting, f"{steps:,}", *cells])
    return format_table(["setting", "steps", *grown], rows) if grown else []


def list_panels(name: str, part: ClassifierPart, table: pl.DataFrame) -> list[Panel]:
    """By how many points each arm lies above the first one, over the settings, in the first measure.

    Arms without generated images are dashed, where there are others.
    """
    without, grown = list_arms(part)
    reference, *others = [*without, *grown]
    values = average_networks(table, part.measures[0])
    gaps = {arm: compare(values, arm, reference) for arm in others}
    panels = []
    for steps in sorted({each for found in gaps.values() for _, each in found}):
        above = {
            arm: {setting: gap for (setting, each), gap in found.items() if each == steps}
            for arm, found in gaps.items()
        }
        title, label = f"{name}, {steps:,} steps", f"points above {reference}"
        panels.append(Panel(title, label, tuple(part.settings), above, without if grown else ()))
    return panels
