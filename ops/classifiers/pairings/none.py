"""No pairing: each image alone with its label."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from ops.classifiers.data import TrainingSet, Views
from ops.classifiers.ingredients import Budget, Pairing
from ops.recipe.ingredients.pairings import NoPairing


class Unpaired(Pairing):
    """Returns the batch unchanged."""

    def __init__(self, settings: NoPairing, data: TrainingSet, budget: Budget) -> None:
        pass

    def pair(
        self, images: Tensor, targets: Tensor, views: Views, step: int, rng: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        return images, targets
