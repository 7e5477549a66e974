"""Measures class by class, over the classes' training images: what the results keep of them, and their panels.

Which class is large differs from seed to seed, so classes are known by their rank, the largest first: the results have
the rows `recall@1`, `recall@2`, ... and, of the same ranks, `images@1`, `images@2`, ...
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from ops.study.figure import Panel
from ops.study.measures import MEASURES, Answers
from ops.study.summary import KEYS, average_networks, find_difference
from ops.study.tables import order_keys
from ops.verdict.metric import score_classes

IMAGES = "images"
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Curve:
    """find: the value of each class, float64 [K]. It is drawn times `scale`, and `label` says what it is."""

    find: Callable[[Answers], np.ndarray]
    scale: float
    label: str


CURVES = {
    "recall": Curve(lambda answers: score_classes(answers.correct, answers.labels), 100.0, "recall, %"),
    "ekld": Curve(lambda answers: answers.invariance.ekld.values, 1.0, "eKLD, nats"),
}


def list_rows(curves: Sequence[str], classes: int) -> list[str]:
    """The names of the rows that the results have of each curve, for a number of classes."""
    return [f"{name}@{rank}" for name in (*curves, IMAGES) for rank in range(1, classes + 1)] if curves else []


def find_value(answers: Answers, row: str) -> float | None:
    """The value of a measure, or of a curve at a rank; None where it has no meaning, or there are fewer classes."""
    name, _, rank = row.partition("@")
    if not rank:
        return MEASURES[name].find(answers)
    counts = answers.train_counts
    if int(rank) > len(counts):
        return None
    label = sorted(range(len(counts)), key=lambda c: (-counts[c], c))[int(rank) - 1]
    return float(counts[label] if name == IMAGES else CURVES[name].find(answers)[label])


def list_curve_panels(
    name: str, curve: str, table: pl.DataFrame, arms: Sequence[str], dashed: Sequence[str], settings: Sequence[str]
) -> list[Panel]:
    """A panel for each setting and number of steps of a part: the curve of each arm, with intervals over the seeds.

    Classes with equally many images are averaged first.
    """
    if (points := _read_points(table, curve)) is None:
        return []
    found = {(str(setting), int(str(steps))): rows for (setting, steps), rows in points.group_by(*KEYS)}
    panels = []
    for setting, steps in order_keys(list(dict.fromkeys(steps for _, steps in found)), settings, found):
        rows = found[setting, steps]
        lines = {}
        for arm in arms:
            own = rows.filter(pl.col("arm") == arm).group_by("size", maintain_order=True)
            lines[arm] = {f"{size}": find_difference(each["value"].to_numpy(), CONFIDENCE) for (size,), each in own}
        places = [f"{size}" for size in sorted(rows["size"].unique())]
        title = f"{name}, {setting}, {steps:,} steps"
        panels.append(
            Panel(title, CURVES[curve].label, places, lines, dashed, "training images of a class", CURVES[curve].scale)
        )
    return panels


def _read_points(table: pl.DataFrame, curve: str) -> pl.DataFrame | None:
    """The value of a curve for each setting, number of steps, seed, arm and `size` of a class; None where none is."""
    rows = table.filter(pl.col("measure").str.starts_with(f"{curve}@"))["measure"].unique().sort()
    ranks = [row.partition("@")[2] for row in rows]

    def read(name: str) -> pl.DataFrame:
        each = [average_networks(table, f"{name}@{rank}").with_columns(rank=pl.lit(rank)) for rank in ranks]
        return pl.concat(each).drop_nulls("value")

    if not ranks or read(curve).is_empty():
        return None
    # All arms of a block learn from the same real images. Seeds may differ by an image where a source is short of it.
    sizes = read(IMAGES).group_by(*KEYS, "rank").agg(pl.col("value").mean().round().cast(pl.Int64).alias("size"))
    by_size = read(curve).join(sizes, on=[*KEYS, "rank"])
    values = by_size.group_by(*KEYS, "seed", "arm", "size").agg(pl.col("value").mean())
    return values.sort(*KEYS, "arm", "size", "seed")
