"""The real images of a block by which its networks are judged, and how many they learnt from.

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


class Judging(ABC):
    """What is read of the folder of the stage `real_images`, which whoever inherits makes."""

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
