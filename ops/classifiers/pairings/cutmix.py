"""CutMix (Yun et al. 2019): a box of each image is replaced by that of another image of the batch."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from ops.classifiers.blending import count_steps, cutmix
from ops.classifiers.data import TrainingSet, Views
from ops.classifiers.ingredients import Budget, Pairing
from ops.recipe.ingredients.pairings import CutMix


class PastedPairs(Pairing):
    """Pastes boxes within every batch, or part of one, up to a share of the steps."""

    def __init__(self, settings: CutMix, data: TrainingSet, budget: Budget) -> None:
        self.settings, self.steps = settings, count_steps(settings.until, budget.steps)

    def pair(
        self, images: Tensor, targets: Tensor, views: Views, step: int, rng: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        if step >= self.steps or len(images) == 1:  # a part of a batch may be one image
            return images, targets
        settings = self.settings
        return cutmix(images, targets, rng, alpha=settings.alpha, per=settings.per, probability=settings.probability)
