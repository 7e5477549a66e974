"""mixup (Zhang et al. 2018): a batch blended with a permutation of itself."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from ops.classifiers.blending import count_steps, mixup
from ops.classifiers.data import TrainingSet, Views
from ops.classifiers.ingredients import Budget, Pairing
from ops.recipe.ingredients.pairings import Mixup


class MixedPairs(Pairing):
    """Mixes every batch, or part of one, up to a share of the steps."""

    def __init__(self, settings: Mixup, data: TrainingSet, budget: Budget) -> None:
        self.settings, self.steps = settings, count_steps(settings.until, budget.steps)

    def pair(
        self, images: Tensor, targets: Tensor, views: Views, step: int, rng: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        if step >= self.steps or len(images) == 1:  # a part of a batch may be one image
            return images, targets
        return mixup(images, targets, rng, alpha=self.settings.alpha, per=self.settings.per)
