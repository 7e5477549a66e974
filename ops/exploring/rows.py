"""What the page knows of each image, apart from its pixels: one row each, in the order of the stored files.

First the training images, then the validation images, then all generated ones. Test images have no row: no pixel, id or
distance of one reaches the page. Where a generated image lies nearest to a test image, that distance is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from ops.datasets.index import locate_rows
from ops.datasets.shards import find_shards
from ops.errors import DamagedData
from ops.files.outputs import GENERATED
from ops.filters.reasons import REASONS, SURPLUS
from ops.filters.results import Results

KINDS = ("training", "validation", "accepted", "rejected", "surplus")
REASON_BITS = {reason: 1 << place for place, reason in enumerate((*REASONS, SURPLUS))}
# Columns of row numbers, each with the column of ids in the index and what its images are.
NEIGHBOURS = {
    "nearest_training": "nearest training image",
    "nearest_validation": "nearest validation image",
    "nearest_generated": "nearest earlier generated image of its class",
    "parent": "the training image that it is a variant of",
}
_FACTS = ("image_id", "shard", "row", "label", "kind", "reasons", "predicted")


@dataclass(frozen=True, eq=False)
class Rows:
    """frame: for each image image_id, shard (file name), row, label, kind (place in KINDS), reasons (sum of
    REASON_BITS), predicted (label or null), the columns of NEIGHBOURS (place in this frame or null) and the scores.

    splits: the files of each of train, validation and generated, in the order of the frame.
    """

    frame: pl.DataFrame
    scores: tuple[str, ...]
    splits: Mapping[str, list[Path]]

    def __len__(self) -> int:
        return len(self.frame)

    def count_kinds(self) -> list[int]:
        return np.bincount(self.frame["kind"].to_numpy(), minlength=len(KINDS)).tolist()


def collect_rows(results: Results, inputs: Mapping[str, Path], siblings: pl.DataFrame | None) -> Rows:
    """The rows, from the filters' results and the folders of real_images and generated_images.

    `siblings` are the training images' nearest others, by `find_siblings`. DamagedData where index and files differ.
    """
    splits = {
        "train": find_shards(inputs["real_images"], "train"),
        "validation": find_shards(inputs["real_images"], "validation"),
        "generated": find_shards(inputs["generated_images"], GENERATED),
    }
    generated = _hide_test(_order_as_stored(results.index, splits["generated"]))
    scores = tuple(
        name
        for name, kind in generated.schema.items()
        if kind.is_float() and generated[name].null_count() < len(generated)
    )
    train = locate_rows(splits["train"])
    if siblings is not None:
        train = train.with_columns(
            nearest_training=siblings["nearest"], train_distance=siblings["distance"].cast(pl.Float32)
        )
    validation = locate_rows(splits["validation"])
    first = {"train": 0, "validation": len(train), "generated": len(train) + len(validation)}
    # Ids are unique within a split, not over all: each kind of neighbour is looked up in its own split.
    held_out = _point(results.held_out, "nearest_train_id", "nearest_training", train["image_id"], first["train"])
    measured = [name for name in (*scores, "nearest_training", "predicted") if name in held_out.columns]
    validation = validation.join(
        held_out.select("image_id", *measured), on="image_id", how="left", maintain_order="left"
    )
    ids = generated["image_id"]
    generated = _point(generated, "nearest_train_id", "nearest_training", train["image_id"], first["train"])
    generated = _point(
        generated, "nearest_held_out_id", "nearest_validation", validation["image_id"], first["validation"]
    )
    generated = _point(generated, "nearest_generated_id", "nearest_generated", ids, first["generated"])
    generated = _point(generated, "parent_id", "parent", train["image_id"], first["train"])
    frame = pl.concat(
        [
            _complete(train.with_columns(kind=pl.lit(0), reasons=pl.lit(0)), scores),
            _complete(validation.with_columns(kind=pl.lit(1), reasons=pl.lit(0)), scores),
            _complete(generated.with_columns(_find_kind(), _sum_reasons()), scores),
        ],
        rechunk=True,
    )
    return Rows(frame, scores, splits)


def _order_as_stored(index: pl.DataFrame, shards: list[Path]) -> pl.DataFrame:
    """The index in the order of the files; DamagedData unless it has exactly their rows."""
    order = {path.name: place for place, path in enumerate(shards)}
    ordered = index.sort(pl.col("shard").replace_strict(order, default=len(order)), "row", maintain_order=True)
    stored = pl.concat([locate_rows([path]) for path in shards])
    if not ordered.select("image_id", "shard", "row").equals(stored.select("image_id", "shard", "row")):
        raise DamagedData("the index of accepted images does not list the generated images as they are stored")
    return ordered


def _hide_test(index: pl.DataFrame) -> pl.DataFrame:
    """Without the nearest held-out images that are test images, and without the distances to them."""
    columns = [name for name in ("held_out_distance", "nearest_held_out_id") if name in index.columns]
    shown = pl.col("held_out_split") == "validation"
    return index.with_columns(pl.when(shown).then(pl.col(name)).otherwise(None).alias(name) for name in columns)


def _point(rows: pl.DataFrame, ids: str, name: str, among: pl.Series, first: int) -> pl.DataFrame:
    """With the column `name`: the place of the image that column `ids` names, counted from `first`; null if unknown."""
    if ids not in rows.columns:
        return rows.with_columns(pl.lit(None, pl.Int64).alias(name))
    places = pl.DataFrame({ids: among.cast(pl.String), name: np.arange(first, first + len(among))})
    return rows.join(places, on=ids, how="left", maintain_order="left")


def _find_kind() -> pl.Expr:
    rejected = pl.when(pl.col("reasons").list.contains(SURPLUS)).then(4).otherwise(3)
    return pl.when(pl.col("keep")).then(2).otherwise(rejected).alias("kind")


def _sum_reasons() -> pl.Expr:
    return pl.col("reasons").list.eval(pl.element().replace_strict(REASON_BITS)).list.sum().alias("reasons")


def _complete(rows: pl.DataFrame, scores: tuple[str, ...]) -> pl.DataFrame:
    """All columns of a frame of Rows, null where these rows lack one."""
    types = {
        **dict.fromkeys(("label", "row", "kind", "reasons", "predicted", *NEIGHBOURS), pl.Int64),
        **dict.fromkeys(scores, pl.Float32),
        **dict.fromkeys(("image_id", "shard"), pl.String),
    }
    return rows.select(
        (pl.col(name) if name in rows.columns else pl.lit(None)).cast(types[name]).alias(name)
        for name in (*_FACTS, *NEIGHBOURS, *scores)
    )
