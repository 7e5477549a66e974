"""What pairings within a batch have in common: they end at a share of the steps, and leave a single image alone."""

from __future__ import annotations

from abc import abstractmethod

import numpy as np
from torch import Tensor

from ops.classifiers.blending import count_steps
from ops.classifiers.data import TrainingSet, Views
from ops.classifiers.ingredients import Budget, Pairing
from ops.recipe.ingredients.pairings import CutMix, Mixup


class BatchPairing(Pairing):
    """Blends every batch, or part of one, up to a share of the steps."""

    def __init__(self, settings: Mixup | CutMix, data: TrainingSet, budget: Budget) -> None:
        self.settings, self.steps = settings, count_steps(settings.until, budget.steps)

    def pair(
        self, images: Tensor, targets: Tensor, views: Views, step: int, rng: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        if step >= self.steps or len(images) == 1:  # a part of a batch may be one image
            return images, targets
        return self.blend(images, targets, rng)

    @abstractmethod
    def blend(self, images: Tensor, targets: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Images [m, C, H, W] and targets [m, K] of a batch of two or more, blended with one another."""
