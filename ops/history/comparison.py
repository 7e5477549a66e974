"""Compare two versions of a dataset: images by class, counts, quality and verdict.

Images are matched by id, which stands for the content of a real image and for generator and draw of a generated one.
This module reads no files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

from ops.history.versions import Contents

COMPARED = ("class", "split", "is_generated", "weight")  # an image has changed if one of these columns differs


@dataclass(frozen=True)
class Comparison:
    """Differences between two versions.

    `classes`: columns class, split, kind (real or generated), before, after, added, removed, changed; one row for each
    combination that has images. `totals` are the sums. `summary` rows are (name, before, after), with None for a value
    that a version does not have.
    """

    before: str
    after: str
    classes: pl.DataFrame
    totals: dict[str, int]
    summary: list[tuple[str, Any, Any]]

    @property
    def is_empty(self) -> bool:
        return not (self.totals["added"] or self.totals["removed"] or self.totals["changed"])


def compare_rows(before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    """Counts by class, split and kind of two tables with the columns image_id and COMPARED.

    An image that moved to another class or split is changed, and counted where it is now.
    """
    both = before.join(after, on="image_id", how="full", suffix="_after", coalesce=True)
    there, here = pl.col("class").is_not_null(), pl.col("class_after").is_not_null()
    same = pl.all_horizontal(pl.col(name).eq_missing(pl.col(f"{name}_after")) for name in COMPARED)
    marked = both.select(
        *(pl.coalesce(f"{name}_after", name).alias(name) for name in ("class", "split", "is_generated")),
        before=there,
        after=here,
        added=here & ~there,
        removed=there & ~here,
        changed=there & here & ~same,
    )
    kinds = pl.when("is_generated").then(pl.lit("generated")).otherwise(pl.lit("real")).alias("kind")
    order = pl.Enum(["train", "validation", "test"])
    counts = [pl.col(name).sum().cast(pl.Int64) for name in ("before", "after", "added", "removed", "changed")]
    return (
        marked.with_columns(kinds, pl.col("split").cast(order))
        .group_by("class", "split", "kind")
        .agg(counts)
        .sort("class", "split", "kind", descending=[False, False, True])
        .with_columns(pl.col("split").cast(pl.String))
    )


def compare(before: Contents, after: Contents) -> Comparison:
    """Compare two versions, of the same expansion or of two."""
    classes = compare_rows(before.rows, after.rows)
    totals = {name: int(classes[name].sum()) for name in ("before", "after", "added", "removed", "changed")}
    return Comparison(before.version.name, after.version.name, classes, totals, _summarise(before, after))


def format_value(name: str, value: Any) -> str:
    """A value of a summary as text; `–` for a value that a version does not have."""
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{100 * value:.1f} %" if name.startswith("accuracy") or name == "accept_rate" else f"{value:.3f}"
    return value if isinstance(value, str) else f"{value:,}"


def _summarise(before: Contents, after: Contents) -> list[tuple[str, Any, Any]]:
    sides = (before, after)
    counts = [
        (name, *(side.metrics.get(name) for side in sides)) for name in ("train", "generated", "validation", "test")
    ]
    names = sorted({name for side in sides for name in side.metrics.get("quality", {})})
    quality = [(name, *(side.metrics.get("quality", {}).get(name) for side in sides)) for name in names]
    arms = [
        (f"accuracy of the {role}", *(_find_accuracy(side.verdict, role) for side in sides))
        for role in ("baseline", "challenger")
    ]
    return [*counts, *quality, ("verdict", *(side.verdict["decision"] for side in sides)), *arms]


def _find_accuracy(verdict: dict[str, Any], role: str) -> float:
    return float(next(arm["accuracy"]["estimate"] for arm in verdict["arms"] if arm["arm"] == verdict[role]))
