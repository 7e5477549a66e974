"""The images that a side's arms learn from, and what becomes of them for one arm: weights, placebo, relabelled ones."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from ops.classifiers.data import TrainingSet
from ops.classifiers.placebos import PLACEBOS
from ops.recipe.arms import Arm


@dataclass(frozen=True, eq=False)
class Examples:
    """A training set: images uint8 [n, C, H, W], labels int64 [n], weights float64 [n].

    `is_generated` bool [n] marks the generated images, to whose weight that of a real image is relative; None where all
    are real. `only_relabelled` bool [n] marks those of them that were rejected for their label alone: they are for arms
    that let a teacher label them.
    """

    images: np.ndarray
    labels: np.ndarray
    weights: np.ndarray
    is_generated: np.ndarray | None = None
    only_relabelled: np.ndarray | None = None

    def weigh(self, arm: Arm) -> np.ndarray:
        """The weights of the images for an arm, float64 [n], with the arm's own real_weight if it has one."""
        weights = self.weights
        if arm.real_weight is not None and self.is_generated is not None:
            weights = np.where(self.is_generated, weights, arm.real_weight)
        if self.only_relabelled is not None and not getattr(arm.targets, "relabel", False):
            weights = np.where(self.only_relabelled, 0.0, weights)
        return weights

    def list_sizes(self, arm: Arm) -> list[np.ndarray]:
        """The sizes of the classes that the arm's sampler and loss meet, float64 [K] each, as `TrainingSet.counts`.

        First those of the images that it learns from with their labels. If it ends on real images alone, also those.
        """
        weights = self.weigh(arm)
        real = weights if self.is_generated is None else np.where(self.is_generated, 0.0, weights)
        if getattr(arm.consistency, "images", None) == "generated":
            weights = real
        met = [weights, real] if arm.finish else [weights]
        return [np.bincount(self.labels, weights=each) / each.max() for each in met]

    def build_set(self, arm: Arm, classes: int, seed: int) -> TrainingSet:
        """The images that an arm learns from; `seed` is that of its placebo."""
        weights = self.weigh(arm)
        shown = weights > 0
        images, labels, marks = self.images, self.labels, self.is_generated
        if not shown.all():
            images, labels, weights = images[shown], labels[shown], weights[shown]
            marks = None if marks is None else marks[shown]
        if arm.placebo.kind != "none":
            assert marks is not None, "a placebo stands for generated images"
            images = PLACEBOS[arm.placebo.kind](arm.placebo, images, labels, marks, seed)
        return TrainingSet(torch.from_numpy(images), torch.from_numpy(labels), weights, classes, marks)
