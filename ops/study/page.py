"""The page of a study: `README.md`, whose text is written by people and whose tables are drawn from the results.

The tables stand between two marks; what is around them stays as it is. `figure.svg` lies beside it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from ops.files.storage import write_text
from ops.recipe.arms import Arm
from ops.recipe.counterparts import name_kind, pair_counterparts
from ops.study.design import ClassifierPart, Study
from ops.study.figure import Panel, draw_figure
from ops.study.running import Finished
from ops.study.summary import Difference, average_networks, average_seeds, compare, count_labels, find_best

PAGE, FIGURE = "README.md", "figure.svg"
BEGIN, END = "<!-- results: drawn by `growset study` -->", "<!-- end of results -->"


def write_page(study: Study, finished: Finished) -> Path:
    """Draw the figure and the tables anew; returns the page. A study without a finished block gets no figure."""
    page = study.folder / PAGE
    text = page.read_text(encoding="utf-8") if page.is_file() else f"# {study.design.question}\n\n{BEGIN}\n{END}\n"
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    write_text(page, f"{before}{BEGIN}\n\n{render_results(study, finished)}\n{END}{after}")
    if len(finished.table):
        write_text(study.folder / FIGURE, draw_figure(_list_panels(study, finished)))
    return page


def render_results(study: Study, finished: Finished) -> str:
    """The tables of all parts, as Markdown."""
    done = finished.cells - finished.missing
    lines = [f"{done:,} of {finished.cells:,} cells are done. Only complete blocks are shown.", ""]
    if len(finished.table):
        lines += [f"![]({FIGURE})", ""]
    for name, part in study.design.parts.items():
        own = finished.table.filter(pl.col("part") == name)
        if isinstance(part, ClassifierPart) and len(own):
            lines += render_classifiers(name, part, own)
    return "\n".join(lines)


def render_classifiers(name: str, part: ClassifierPart, table: pl.DataFrame) -> list[str]:
    """The means of each measure, the differences that the arms are made for, and what they are worth in real labels."""
    lines = [f"### {name}", ""]
    for measure in part.measures:
        means = average_seeds(average_networks(table, measure))
        lines += [f"Mean {measure.replace('_', ' ')}, %:", "", *_format_means(part, means), ""]
    measure = part.measures[0]
    values = average_networks(table, measure)
    lines += [
        f"Differences in {measure.replace('_', ' ')}, in points, paired by seed, with 95 % intervals over the seeds:",
        "",
        *_format_differences(part, values),
        "",
    ]
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
    """Each arm with generated images beside the same one on real images, and with a placebo."""
    return pair_counterparts(*_read_arms(part), {})


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
    for steps, setting in _list_keys(part, seeds):
        cells = [f"{100 * found[setting, steps, arm]:.1f}" if (setting, steps, arm) in found else "–" for arm in arms]
        rows.append([setting, f"{steps:,}", str(seeds[setting, steps]), *cells])
    return _format_table(["setting", "steps", "seeds", *arms], rows)


def _format_differences(part: ClassifierPart, values: pl.DataFrame) -> list[str]:
    without, grown = list_arms(part)
    means = average_seeds(values)
    best = {False: find_best(means, without), True: find_best(means, grown)}
    pairs = list_pairs(part)
    compared = {pair: compare(values, *pair) for pair in pairs}
    rows = []
    seeds = {(s, n): count for s, n, count in means.select("setting", "steps", "seeds").iter_rows()}
    for steps, setting in _list_keys(part, seeds):
        key, cells = (setting, steps), list[str]()
        if grown:
            one, other = best[True].get(key), best[False].get(key)
            gap = compare(values, one, other).get(key) if one and other else None
            cells.append("–" if gap is None else f"{_format_difference(gap)}: {one} − {other}")
        cells += ["–" if key not in compared[pair] else _format_difference(compared[pair][key]) for pair in pairs]
        rows.append([setting, f"{steps:,}", *cells])
    heads = ["best with − best without"] * bool(grown) + [f"{one} − {other}" for one, other in pairs]
    return _format_table(["setting", "steps", *heads], rows) if heads else []


def _format_worth(part: ClassifierPart, means: pl.DataFrame) -> list[str]:
    """A row for each length and setting, where settings are numbers of labels."""
    if not all(setting.isdigit() for setting in part.settings):
        return []
    without, grown = list_arms(part)
    single = [arm for arm in without if arm not in part.ensembles]
    best, rows = find_best(means, single), []
    found = {(s, n, arm): value for s, n, arm, value in means.select("setting", "steps", "arm", "value").iter_rows()}
    seeds = {(s, n): count for s, n, count in means.select("setting", "steps", "seeds").iter_rows()}
    for steps, setting in _list_keys(part, seeds):
        labels = [each for each in part.settings if (each, steps) in best]
        curve = [found[each, steps, best[each, steps]] for each in labels]
        cells = []
        for arm in grown:
            reached = found.get((setting, steps, arm))
            needed = None if reached is None else count_labels([float(each) for each in labels], curve, reached)
            cells.append("–" if needed is None else f"{needed:.0f}")
        rows.append([setting, f"{steps:,}", *cells])
    return _format_table(["setting", "steps", *grown], rows) if grown else []


def _list_keys(part: ClassifierPart, found: object) -> list[tuple[int, str]]:
    """Steps and setting of the complete blocks, by steps, in the order of the settings."""
    assert isinstance(found, dict)
    return [(steps, each) for steps in sorted(part.steps) for each in part.settings if (each, steps) in found]


def _format_difference(gap: Difference) -> str:
    spread = "" if gap.half_width is None else f" ± {100 * gap.half_width:.1f}"
    return f"{100 * gap.mean:+.1f}{spread}"


def _format_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(row)} |" for row in (heads, ["---"] * len(heads), *rows)]


def _list_panels(study: Study, finished: Finished) -> list[list[Panel]]:
    rows = []
    for name, part in study.design.parts.items():
        own = finished.table.filter(pl.col("part") == name)
        if not isinstance(part, ClassifierPart) or not len(own):
            continue
        without, grown = list_arms(part)
        reference, *others = [*without, *grown]
        values = average_networks(own, part.measures[0])
        gaps = {arm: compare(values, arm, reference) for arm in others}
        panels = []
        for steps in sorted({each for found in gaps.values() for _, each in found}):
            above = {
                arm: {setting: gap for (setting, each), gap in found.items() if each == steps}
                for arm, found in gaps.items()
            }
            panels.append(Panel(f"{name}, {steps:,} steps", reference, tuple(part.settings), above, without))
        rows.append(panels)
    return rows
