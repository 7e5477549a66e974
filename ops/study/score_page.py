"""What a study's page says of label-free scores: whether they rank the arms as their probes' accuracy does.

A score that needs no label is of use if the arm that it prefers is the one whose probe is right most often. So each
seed's arms are ranked twice, and Spearman's correlation of the two is averaged over the seeds. An arm without a score,
which learnt from labels, is in neither ranking, and neither is one that says auto: what it settles on is often another
arm, whose network would count twice.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from ops.recipe.automatic import list_automatic
from ops.study.design import ClassifierPart
from ops.study.measure_names import LABEL_FREE
from ops.study.measures import name_measure
from ops.study.part_arms import read_arms
from ops.study.summary import Difference, average_networks, find_difference
from ops.study.tables import Key, format_difference, format_table, order_keys

LEAST_ARMS = 4  # with fewer a rank correlation has hardly another value than -1 and 1
CONFIDENCE = 0.95
BOTH = ("alignment", "uniformity")  # whose sum is what contrastive losses tend to with many negatives


def render_scores(part: ClassifierPart, table: pl.DataFrame) -> list[str]:
    """Markdown lines; none without scores, or with fewer than LEAST_ARMS arms that have them."""
    first, (baselines, expanded) = part.measures[0], read_arms(part)
    table = table.filter(~pl.col("arm").is_in(list_automatic({**baselines, **expanded})))
    scores = {name: average_networks(table, name) for name in LABEL_FREE if name in part.measures}
    if set(BOTH) <= set(scores):
        scores[" + ".join(BOTH)] = _add(*(scores[name] for name in BOTH))
    found = {name: correlate(values, average_networks(table, first)) for name, values in scores.items()}
    keys = order_keys(part.steps, tuple(part.settings), {key: None for each in found.values() for key in each})
    rows = [
        [setting, f"{steps:,}", *(format_difference(each.get((setting, steps)), 1.0, 2) for each in found.values())]
        for setting, steps in keys
    ]
    if not rows:
        return []
    return [
        f"Rank correlation over the fixed arms that learn without labels of each score and {name_measure(first)}, mean"
        " over the seeds with 95 % intervals. Near −1 is good for alignment, uniformity and their sum, near +1 for"
        " ARC:",
        "",
        *format_table([part.varies, "steps", *map(name_measure, found)], rows),
        "",
    ]


def correlate(scores: pl.DataFrame, values: pl.DataFrame) -> Mapping[Key, Difference]:
    """Spearman's correlation over the arms of a setting, number of steps and seed, with its mean over the seeds.

    scores, values: of `average_networks`. Seeds with fewer than LEAST_ARMS arms, or where all are equal, have none.
    """
    from scipy.stats import spearmanr  # takes half a second

    joined = scores.drop_nulls("value").join(
        values.drop_nulls("value"), on=["setting", "steps", "seed", "arm"], suffix="_measured"
    )
    found = dict[Key, list[float]]()
    for (setting, steps, _), rows in joined.group_by("setting", "steps", "seed", maintain_order=True):
        one, other = rows["value"], rows["value_measured"]
        if len(rows) >= LEAST_ARMS and min(one.n_unique(), other.n_unique()) > 1:
            found.setdefault((str(setting), int(str(steps))), []).append(float(spearmanr(one, other).statistic))
    return {key: find_difference(np.array(each), CONFIDENCE) for key, each in found.items()}


def _add(one: pl.DataFrame, other: pl.DataFrame) -> pl.DataFrame:
    joined = one.join(other, on=["setting", "steps", "seed", "arm"], suffix="_other")
    return joined.with_columns(value=pl.col("value") + pl.col("value_other")).drop("value_other")
