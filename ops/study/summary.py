"""What the finished cells of a part say: the mean of each arm, and its paired difference to another arm.

A block's networks of an arm are averaged first. Blocks that differ only in their seed are repetitions: they drew other
images and trained other generators, so their spread is that of the whole procedure. A prior is trained once: what
another one would give is in no interval.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy.special import stdtrit

KEYS = ["setting", "steps"]


@dataclass(frozen=True)
class Difference:
    """An arm minus another, in the measure's unit: the mean over seeds, and the half width of its interval.

    half_width: from Student's t over the paired differences of the seeds; None for a single seed.
    """

    mean: float
    half_width: float | None
    seeds: int


def average_networks(table: pl.DataFrame, measure: str) -> pl.DataFrame:
    """One value for each setting, number of steps, seed and arm; null where the generator was not used."""
    rows = table.filter(pl.col("measure") == measure)
    mean = pl.when(pl.col("value").is_null().any()).then(None).otherwise(pl.col("value").mean()).alias("value")
    return rows.group_by(*KEYS, "seed", "arm", maintain_order=True).agg(mean)


def keep_whole_seeds(values: pl.DataFrame) -> pl.DataFrame:
    """The seeds for which every arm of a setting and number of steps has a value, so that means are comparable."""
    return values.filter(pl.col("value").is_not_null().all().over(*KEYS, "seed"))


def average_seeds(values: pl.DataFrame) -> pl.DataFrame:
    """The mean over seeds of each setting, number of steps and arm, over the seeds that have a value, with `seeds`."""
    return (
        values.drop_nulls("value")
        .group_by(*KEYS, "arm", maintain_order=True)
        .agg(pl.col("value").mean(), pl.len().alias("seeds"))
    )


def compare(
    values: pl.DataFrame, arm: str, other: str, *, confidence: float = 0.95
) -> dict[tuple[str, int], Difference]:
    """`arm` minus `other` for each setting and number of steps, paired by seed. `values`: of `average_networks`."""
    return _pair(values, "arm", arm, other, "setting", confidence)


def compare_settings(
    values: pl.DataFrame, setting: str, other: str, *, confidence: float = 0.95
) -> dict[tuple[str, int], Difference]:
    """`setting` minus `other` for each arm and number of steps, paired by seed. `values`: of `average_networks`."""
    return _pair(values, "setting", setting, other, "arm", confidence)


def _pair(
    values: pl.DataFrame, column: str, one: str, other: str, key: str, confidence: float
) -> dict[tuple[str, int], Difference]:
    """Rows with `one` in `column` minus those with `other`, by `key` and steps, without seeds that lack a value."""
    wide = values.filter(pl.col(column).is_in([one, other])).pivot(
        on=column, index=[key, "steps", "seed"], values="value"
    )
    if not {one, other} <= set(wide.columns):
        return {}
    found = {}
    for (name, steps), rows in wide.drop_nulls().group_by(key, "steps", maintain_order=True):
        found[str(name), int(str(steps))] = find_difference((rows[one] - rows[other]).to_numpy(), confidence)
    return found


def find_difference(gaps: np.ndarray, confidence: float) -> Difference:
    """The mean of paired differences, float [S], with its interval of Student's t."""
    if len(gaps) < 2:
        return Difference(float(gaps.mean()), None, len(gaps))
    error = float(gaps.std(ddof=1)) / len(gaps) ** 0.5
    return Difference(float(gaps.mean()), float(stdtrit(len(gaps) - 1, (1 + confidence) / 2)) * error, len(gaps))


def find_best(means: pl.DataFrame, arms: Sequence[str], *, lower_is_better: bool = False) -> dict[tuple[str, int], str]:
    """The best of some arms for each setting and number of steps, by its mean; the first of equal ones."""
    found: dict[tuple[str, int], tuple[float, str]] = {}
    for arm in arms:
        for setting, steps, value in means.filter(pl.col("arm") == arm).select(*KEYS, "value").iter_rows():
            score = -value if lower_is_better else value
            if (setting, steps) not in found or score > found[setting, steps][0]:
                found[setting, steps] = (score, arm)
    return {key: arm for key, (_, arm) in found.items()}


def count_labels(labels: Sequence[float], scores: Sequence[float], reached: float) -> float | None:
    """How many real labels an arm without generated images would need for the score `reached`.

    labels, scores: its learning curve, labels rising. Scores between two points are interpolated over the logarithm of
    the labels, on the first rise through `reached`. None outside the measured curve.

    >>> count_labels([10, 100], [0.5, 0.7], 0.6)
    31.622776601683793
    """
    for (few, low), (many, high) in zip(
        zip(labels, scores, strict=True), zip(labels[1:], scores[1:], strict=True), strict=False
    ):
        if low <= reached <= high and low < high:
            share = (reached - low) / (high - low)
            return float(few * (many / few) ** share)
    return None
