"""What the page of a study shows of a part `classifiers`: means, differences, and what they are worth in labels."""

from __future__ import annotations

from collections.abc import Sequence

import polars as pl

from ops.recipe.contrastive_arms import is_contrastive
from ops.recipe.pool_arms import list_seeing
from ops.study.claim_page import render_claims
from ops.study.controller_page import render_controller
from ops.study.curves import list_curve_panels
from ops.study.design import ClassifierPart
from ops.study.figure import Panel
from ops.study.gain_page import list_gain_panels, render_gains
from ops.study.measure_names import NUISANCED, OF_TRAINING, ClassifierMeasure
from ops.study.measures import MEASURES, Measure, name_measure
from ops.study.part_arms import list_arms, list_pairs, list_rivals, read_arms
from ops.study.score_page import render_scores
from ops.study.shares import find_shares, format_share
from ops.study.summary import (
    Difference,
    average_networks,
    average_seeds,
    compare,
    compare_settings,
    count_labels,
    find_best,
    keep_whole_seeds,
)
from ops.study.tables import NOTHING, Key, format_difference, format_table, order_keys
from ops.verdict.classes import GROUPS


def render(part: ClassifierPart, table: pl.DataFrame) -> list[str]:
    """The means of each measure, the differences that the arms are made for, and what they are worth in real labels.

    Where no arm has generated images, each is compared with the first one, in every measure.
    """
    lines = _tell_unused(part, table)
    if part.budget == "epochs":
        lines += [
            "Epochs are equal: an arm with generated images took 1 + ratio times the steps that stand in the tables.",
            "",
        ]
    for name in part.measures:
        measure, means = MEASURES[name], average_seeds(average_networks(table, name))
        unit = measure.unit and f", {measure.unit}"
        lines += [f"Mean {name_measure(name)}{unit}:", "", *_format_means(part, measure, means), ""]
    for name in _list_compared(part):
        measure, values = MEASURES[name], average_networks(table, name)
        if differences := _format_differences(part, measure, values):
            unit = measure.step and f", in {measure.step}"
            lines += [
                f"Differences in {name_measure(name)}{unit}, paired by seed, with 95 % intervals over the seeds:",
                "",
                *differences,
                "",
            ]
        if name not in GROUPS and (shares := _format_shares(part, measure, values)):
            lines += [
                f"Share of a ceiling's gain in {name_measure(name)}, in %, with 95 % intervals by Fieller's method,"
                " which are unbounded where the ceiling's own gain may be 0:",
                "",
                *shares,
                "",
            ]
        if differences := _format_against(part, measure, values):
            lines += [f"One setting minus another in {name_measure(name)}, likewise:", "", *differences, ""]
    first = part.measures[0]
    if worth := _format_worth(part, MEASURES[first], average_seeds(average_networks(table, first))):
        lines += [
            "The real labels per class that the best arm without generated images would need for the same score, read"
            " off its own curve:",
            "",
            *worth,
            "",
        ]
    lines += [*render_gains(part, table), *render_claims(part, table)]
    return [*lines, *render_controller(part, *read_arms(part), table), *render_scores(part, table)]


def _list_compared(part: ClassifierPart) -> list[ClassifierMeasure]:
    """The measures whose differences are shown: with generated images, the first one, groups of classes, all
    corruptions together, gaps to the training images, invariance."""
    shown = (part.measures[0], *GROUPS, "corrupted", *OF_TRAINING, *NUISANCED) if part.expanded else part.measures
    return [name for name in part.measures if name in shown and MEASURES[name].is_compared]


def _tell_unused(part: ClassifierPart, table: pl.DataFrame) -> list[str]:
    """In how many blocks the generator was not used."""
    is_null = pl.col("value").is_null()
    own = table.filter(pl.col("measure") == part.measures[0]).group_by("setting", "steps", "seed")
    # Where no arm at all has a value, the measure has no meaning there.
    blocks = own.agg((is_null.any() & (~is_null.all() | (not part.baselines))).alias("unused"))
    if not blocks["unused"].any():
        return []
    return [
        f"In {blocks['unused'].sum()} of {len(blocks)} blocks the generator was not used, so arms with generated images"
        " have no value there. Where an arm has fewer seeds than others, their number stands in brackets.",
        "",
    ]


def _format_means(part: ClassifierPart, measure: Measure, means: pl.DataFrame) -> list[str]:
    without, grown = list_arms(part)
    arms = [*without, *grown]
    found = _index(means)
    seeds = _count_seeds(means)
    rows = []
    for setting, steps in order_keys(part.steps, tuple(part.settings), seeds):
        most, cells = seeds[setting, steps], list[str]()
        for arm in arms:
            value, count = found.get((setting, steps, arm), (0.0, 0))
            shown = f"{measure.scale * value:.{measure.digits}f}" + f" ({count})" * (count < most)
            cells.append(shown if count else NOTHING)
        rows.append([setting, f"{steps:,}", str(most), *cells])
    return format_table([part.varies, "steps", "seeds", *arms], rows)


def _format_differences(part: ClassifierPart, measure: Measure, values: pl.DataFrame) -> list[str]:
    without, grown = list_arms(part)
    rivals = list_rivals(part, without)
    means, lowest = average_seeds(keep_whole_seeds(values)), bool(measure.lower_is_better)
    single = [arm for arm in list_rivals(part, grown) if arm not in part.ensembles]
    top = find_best(means, single, lower_is_better=lowest)
    others = dict[str, dict[Key, str]]()
    if grown and measure.lower_is_better is not None:
        for name, arms in _group_rivals(part, rivals).items():
            others[name] = find_best(means, arms, lower_is_better=lowest)

    def show(gap: Difference | None) -> str:
        return format_difference(gap, measure.scale, measure.digits)

    pairs = list_pairs(part)
    compared = {pair: compare(values, *pair) for pair in pairs}
    rows = []
    for setting, steps in order_keys(part.steps, tuple(part.settings), _count_seeds(average_seeds(values))):
        key, cells = (setting, steps), list[str]()
        for best in others.values():
            one, other = top.get(key), best.get(key)
            gap = compare(values, one, other).get(key) if one and other else None
            cells.append(NOTHING if gap is None else f"{show(gap)}: {one} − {other}")
        cells += [show(compared[pair].get(key)) for pair in pairs]
        rows.append([setting, f"{steps:,}", *cells])
    heads = [f"best with − {name}" for name in others] + [f"{one} − {other}" for one, other in pairs]
    return format_table([part.varies, "steps", *heads], rows) if heads else []


def _group_rivals(part: ClassifierPart, rivals: Sequence[str]) -> dict[str, list[str]]:
    """The arms without generated images among which the best ones are picked, by what the page calls these.

    Those that saw a pool, and those that learnt without labels, stand apart where there are others.
    """
    single = [arm for arm in rivals if arm not in part.ensembles]
    baselines, expanded = read_arms(part)
    seeing = list_seeing(baselines)
    found = {"best without": single}
    if seeing:
        found = {
            "best without that saw no pool": [arm for arm in single if arm not in seeing],
            "best without that saw the pool": [arm for arm in single if arm in seeing],
        }
    unlabelled = [arm for arm in single if is_contrastive({**baselines, **expanded}[arm])]
    if 0 < len(unlabelled) < len(single):
        kinds = {"learnt without labels": set(unlabelled), "learnt from labels": set(single) - set(unlabelled)}
        found = {
            f"{name}{' and' if seeing else ' that'} {kind}": own
            for name, arms in found.items()
            for kind, of_kind in kinds.items()
            if (own := [arm for arm in arms if arm in of_kind])
        }
    if part.ensembles:
        found["best ensemble"] = [arm for arm in rivals if arm in part.ensembles]
    return found


def _format_shares(part: ClassifierPart, measure: Measure, values: pl.DataFrame) -> list[str]:
    """A row for each setting and number of steps, a column for each arm of `shares`; none for an undirected measure."""
    if measure.lower_is_better is None:
        return []
    lowest = measure.lower_is_better
    found = {arm: find_shares(values, arm, way, lower_is_better=lowest) for arm, way in part.shares.items()}
    begun = {key: None for shares in found.values() for key in shares}
    rows = [
        [setting, f"{steps:,}", *(format_share(shares.get((setting, steps))) for shares in found.values())]
        for setting, steps in order_keys(part.steps, tuple(part.settings), begun)
    ]
    heads = [f"{arm}: {way.over} = 0, {way.ceiling} = 100" for arm, way in part.shares.items()]
    return format_table([part.varies, "steps", *heads], rows) if rows else []


def _format_against(part: ClassifierPart, measure: Measure, values: pl.DataFrame) -> list[str]:
    """A row for each pair of settings that the part compares; arms without generated images are left out, if others
    are there."""
    arms, rows = list(part.expanded or part.baselines), []
    for one, other in part.against.items():
        gaps = compare_settings(values, one, other)
        for steps in sorted(part.steps):
            if any((arm, steps) in gaps for arm in arms):
                cells = [format_difference(gaps.get((arm, steps)), measure.scale, measure.digits) for arm in arms]
                rows.append([f"{one} − {other}", f"{steps:,}", *cells])
    return format_table(["settings", "steps", *arms], rows) if rows else []


def _format_worth(part: ClassifierPart, measure: Measure, means: pl.DataFrame) -> list[str]:
    """A row for each length and setting, where settings are numbers of labels and some value is the best."""
    if measure.lower_is_better is None:
        return []
    if measure.lower_is_better:
        means = means.with_columns(-pl.col("value"))  # a score, which rises with the labels
    _, grown = list_arms(part)
    grown = [arm for arm in grown if arm not in part.ensembles]
    if not grown or any(
        keys.get("data.images_per_class") != _read_labels(name) for name, keys in part.settings.items()
    ):
        return []
    single = [arm for arm in list_rivals(part, list_arms(part)[0]) if arm not in part.ensembles]
    best, found, rows = find_best(means, single), _index(means), []
    for setting, steps in order_keys(part.steps, tuple(part.settings), _count_seeds(means)):
        labels = sorted((each for each in part.settings if (each, steps) in best), key=int)
        curve = [found[each, steps, best[each, steps]][0] for each in labels]
        cells = []
        for arm in grown:
            reached = found.get((setting, steps, arm))
            needed = None if reached is None else count_labels([float(each) for each in labels], curve, reached[0])
            cells.append(NOTHING if needed is None else f"{needed:.0f}")
        rows.append([setting, f"{steps:,}", *cells])
    return format_table([part.varies, "steps", *grown], rows)


def _read_labels(setting: str) -> int:
    """The number of labels per class that a setting is named after, or 0."""
    return int(setting) if setting.isdigit() else 0


def _index(means: pl.DataFrame) -> dict[tuple[str, int, str], tuple[float, int]]:
    """The mean of each setting, number of steps and arm, and how many seeds it is over."""
    rows = means.select("setting", "steps", "arm", "value", "seeds").iter_rows()
    return {(setting, steps, arm): (value, seeds) for setting, steps, arm, value, seeds in rows}


def _count_seeds(means: pl.DataFrame) -> dict[Key, int]:
    """How many seeds a setting and number of steps have: those of the arm that has most."""
    counts = dict[Key, int]()
    for setting, steps, seeds in means.select("setting", "steps", "seeds").iter_rows():
        counts[setting, steps] = max(seeds, counts.get((setting, steps), 0))
    return counts


def list_rows(name: str, part: ClassifierPart, table: pl.DataFrame) -> list[list[Panel]]:
    """The first measure over the settings, or gains by their law; then a row for each curve, over the classes' images.

    Arms without generated images are dashed, where there are others. Where the part names arms, others are not drawn.
    """
    without, grown = list_arms(part)
    arms, dashed = part.drawn or (*without, *grown), without if grown else []
    curves = [list_curve_panels(name, curve, table, arms, dashed, tuple(part.settings)) for curve in part.curves]
    if part.gains:
        return [*list_gain_panels(name, part, table), *curves]
    return [_list_panels(name, part, table, arms, dashed), *curves]


def _list_panels(
    name: str, part: ClassifierPart, table: pl.DataFrame, arms: Sequence[str], dashed: Sequence[str]
) -> list[Panel]:
    """By how much each of some arms lies above the first one, over the settings; a panel for each number of steps."""
    reference, *others = arms
    measure, values = MEASURES[part.measures[0]], average_networks(table, part.measures[0])
    gaps = {arm: compare(values, arm, reference) for arm in others}
    panels = []
    for steps in sorted({each for found in gaps.values() for _, each in found}):
        above = {
            arm: {setting: gap for (setting, each), gap in found.items() if each == steps}
            for arm, found in gaps.items()
        }
        title, label = f"{name}, {steps:,} steps", f"{measure.step} above {reference}".strip()
        panels.append(Panel(title, label, tuple(part.settings), above, dashed, part.varies, measure.scale))
    return panels
