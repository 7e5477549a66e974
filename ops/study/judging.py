"""The real images of a block by which its networks are judged, changed ones too, and how many they learnt from.

The evaluation images decide what a study finds. Validation images are those of the recipe: probes and the controller
choose on them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import cached_property
from pathlib import Path

import numpy as np

from ops.datasets.axes import to_nchw
from ops.datasets.pixels import PixelDataset, read_rows, read_split
from ops.datasets.shards import find_shards
from ops.files.hashing import hash_json
from ops.recipe.schema import Recipe
from ops.study.bench import Bench
from ops.study.corrupted import IMAGES, QUICK_IMAGES, Corrupted, corrupt_images
from ops.study.images import read_unchanged
from ops.study.invariance import Nuisanced, choose_images, draw_nuisance
from ops.study.measure_names import CORRUPTED


class Judging(ABC):
    """What is read of the folder of the stage `real_images`, which whoever inherits makes."""

    bench: Bench
    recipe: Recipe

    @property
    @abstractmethod
    def real_images(self) -> Path:
        """That folder."""

    @cached_property
    def evaluation(self) -> PixelDataset:
        """The study's evaluation images, which stand in the place of the test split."""
        return read_split(self.real_images, "test")

    @cached_property
    def validation(self) -> tuple[np.ndarray, np.ndarray]:
        """Images uint8 [n, C, H, W] and their labels int64 [n]."""
        found = read_split(self.real_images, "validation")
        return to_nchw(found.images), found.labels

    @cached_property
    def train_counts(self) -> list[int]:
        """Real training images of each class that have a label."""
        train = read_rows(find_shards(self.real_images, "train"))
        return np.bincount(train["label"].to_numpy(), minlength=len(self.evaluation.class_names)).tolist()

    @cached_property
    def nuisanced(self) -> Nuisanced | None:
        """Some evaluation images without their nuisance, and draws of it; None where nothing is measured on them."""
        if not self.bench.part.of_nuisance:
            return None
        assert self.recipe.data.nuisance is not None, "the design refuses such a setting"
        rows = choose_images(self.evaluation.labels)
        keys = self.evaluation.rows["parent_id"][rows].to_list()
        images = read_unchanged(self.bench.own, keys)
        return draw_nuisance(self.recipe.data.nuisance, images, keys, self.evaluation.labels[rows])

    @cached_property
    def corrupted(self) -> Corrupted | None:
        """Some evaluation images with corruptions; None where nothing is measured on them. Blocks share them."""
        bench, own = self.bench, self.evaluation
        if set(CORRUPTED).isdisjoint(bench.part.measures):
            return None
        ids = own.rows["image_id"].to_list()
        if (key := hash_json(ids)) not in bench.corrupted:
            most = QUICK_IMAGES if bench.quick else IMAGES
            bench.corrupted[key] = corrupt_images(own.images, ids, own.labels, most=most)
        return bench.corrupted[key]
