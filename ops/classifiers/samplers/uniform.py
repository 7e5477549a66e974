"""Images in proportion to their weights, whatever their class."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ops.classifiers.data import TrainingSet
from ops.classifiers.ingredients import Budget, Sampler
from ops.recipe.ingredients.samplers import UniformSampler


class Uniform(Sampler):
    """The training set's own weights at every step."""

    def __init__(self, settings: UniformSampler, data: TrainingSet, budget: Budget) -> None:
        self.own = data.weights

    def weights(self, step: int) -> np.ndarray:
        return self.own

    @classmethod
    def equals_uniform(cls, settings: Any, counts: np.ndarray) -> bool:
        return True

    @classmethod
    def list_shown(cls, settings: Any, counts: np.ndarray) -> Sequence[np.ndarray]:
        return [counts]
