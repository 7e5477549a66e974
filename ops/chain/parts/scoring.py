"""Scores of generated images as a table, with the ids of the nearest images.

Models and real images are opened when the first image is scored; if every round is reused, they are not opened.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import polars as pl
import polars.selectors as cs
import torch
from torch import Tensor

from ops.chain.parts.external_networks import open_external_networks
from ops.datasets.axes import to_nchw
from ops.datasets.pixels import PixelDataset, read_shards, read_split
from ops.filters.audit import HeldOut, read_held_out
from ops.filters.scores import ScoreComputer, Scores, SeenImages
from ops.judging.scorer import load_scorer
from ops.recipe.filtering import FilterSettings

Folders = Mapping[str, Path]  # of the stage's inputs, by name


class Scoring:
    """Scores rounds in order; each image is compared with the real images and with all generated ones before it.

    inputs: folders of the stages real_images and scorer. settings: the recipe's. root: the workspace's folder.
    varied: whether the images are variants of real training images.
    """

    def __init__(self, inputs: Folders, settings: FilterSettings, root: Path, *, varied: bool) -> None:
        self._varied = varied
        self._inputs, self._settings, self._root = inputs, settings, root
        self._seen = SeenImages()
        self._ids: list[str] = []
        self._skipped: list[Path] = []

    def score(self, shards: Sequence[Path], number: int, flagged: np.ndarray | None = None) -> pl.DataFrame:
        """One row per image, in the order of the files of round `number`; all earlier rounds were scored or skipped.

        flagged: bool [n], what the generator's own safety checker says of these images, where it has one.
        """
        for shard in self._skipped:
            images = read_shards([shard])
            self._seen.add(_to_tensor(images), images.labels)
            self._ids += images.rows["image_id"].to_list()
        self._skipped.clear()
        tables, first = [], 0
        for shard in shards:
            images = read_shards([shard])
            rows = slice(first, first + len(images.images))
            tables.append(self._score(images, number, None if flagged is None else flagged[rows]))
            first = rows.stop
        return pl.concat(tables)

    def skip(self, shards: Sequence[Path]) -> None:
        """Note the next round's images without scoring them: their scores are already known."""
        self._skipped += shards

    def score_real(self) -> pl.DataFrame:
        """The scores of the validation images, for the rules' thresholds."""
        real = read_split(self._inputs["real_images"], "validation")
        scores = self._computer.compute_real(_to_tensor(real), real.labels)
        ids = real.rows["image_id"].to_list()
        return _build_table(real, scores, {"train": self._train_ids, "generated": ids})

    def _score(self, images: PixelDataset, number: int, flagged: np.ndarray | None) -> pl.DataFrame:
        parents = self._find_parents(images)
        scores = self._computer.compute(_to_tensor(images), images.labels, self._seen, parents, flagged)
        self._ids += images.rows["image_id"].to_list()
        held_out = np.array(self._held_out.splits)[scores["nearest_held_out"]]
        known = {"train": self._train_ids, "generated": self._ids, "held_out": self._held_out.ids}
        return _build_table(images, scores, known).with_columns(
            round=pl.lit(number, pl.Int32), held_out_split=pl.Series(held_out, dtype=pl.String)
        )

    def _find_parents(self, images: PixelDataset) -> np.ndarray | None:
        """Row of each variant's training image, int64 [n]; None for images that are not variants."""
        if not self._varied:
            return None
        return np.array([self._train_rows[parent] for parent in images.rows["parent_id"]], np.int64)

    @cached_property
    def _train_rows(self) -> dict[str, int]:
        return {name: row for row, name in enumerate(self._train_ids)}

    @cached_property
    def _held_out(self) -> HeldOut:
        return read_held_out(self._inputs["real_images"])

    @cached_property
    def _train(self) -> PixelDataset:
        return read_split(self._inputs["real_images"], "train")

    @cached_property
    def _train_ids(self) -> list[str]:
        return self._train.rows["image_id"].to_list()

    @cached_property
    def _computer(self) -> ScoreComputer:
        scorer, train = load_scorer(self._inputs["scorer"]), self._train
        held_out = torch.from_numpy(to_nchw(self._held_out.images))
        external = open_external_networks(self._settings, self._root, train.class_names)
        images = _to_tensor(train)
        return ScoreComputer(scorer, images, train.labels, scorer.folds, held_out, external, varied=self._varied)


def list_scores(table: pl.DataFrame) -> dict[str, np.ndarray]:
    """The scores of a table by name, [n] each, NaN where a number is unknown."""
    numbers = table.select(cs.numeric() | cs.boolean())
    return {column.name: column.to_numpy() for column in numbers}


def _to_tensor(images: PixelDataset) -> Tensor:
    return torch.from_numpy(to_nchw(images.images))


def _build_table(images: PixelDataset, scores: Scores, ids: Mapping[str, Sequence[str]]) -> pl.DataFrame:
    """Scores by column, null where nothing could be measured; `nearest_<kind>` becomes `nearest_<kind>_id`."""
    columns = {}
    for name, values in scores.items():
        kind = name.removeprefix("nearest_")
        if kind == name:
            known = np.where(np.isinf(values), np.nan, values) if values.dtype.kind == "f" else values
            columns[name] = pl.Series(name, known, nan_to_null=True)
        else:
            named = [ids[kind][index] if index >= 0 else None for index in values]
            columns[f"{name}_id"] = pl.Series(f"{name}_id", named, dtype=pl.String)
    rows = images.rows
    # Images without parents get no such column.
    named = ["image_id", "label"] if rows["parent_id"].is_null().all() else ["image_id", "label", "parent_id"]
    return rows.select(named).with_columns(**columns)
