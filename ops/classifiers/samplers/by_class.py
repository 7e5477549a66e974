"""What samplers have in common that show rare classes more often than their images weigh.

They may begin at a later step: deferred re-sampling (DRS; Cao et al. 2019).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np

from ops.classifiers.class_sizes import are_equal, fill_empty
from ops.classifiers.data import TrainingSet
from ops.classifiers.ingredients import Budget, Sampler
from ops.recipe.ingredients.balancing import Deferred


class ByClass(Sampler):
    """The images' own weights, from the step on at which that begins times a factor that depends on their class.

    Within a class images keep their proportions. The largest class keeps its weights.
    """

    def __init__(self, settings: Deferred, data: TrainingSet, budget: Budget) -> None:
        self.first, self.own = settings.first_step(budget.steps), data.weights
        self.changed = data.weights * self.find_factors(settings, fill_empty(data.counts))[data.labels.numpy()]

    def weights(self, step: int) -> np.ndarray:
        return self.changed if step >= self.first else self.own

    @classmethod
    @abstractmethod
    def find_factors(cls, settings: Any, counts: np.ndarray) -> np.ndarray:
        """The factor of each class, float64 [K], at least 1, for classes of sizes `counts` [K], above 0."""

    @classmethod
    def equals_uniform(cls, settings: Any, counts: np.ndarray) -> bool:
        """True if all classes have the same factor."""
        return are_equal(cls.find_factors(settings, fill_empty(counts)))

    @classmethod
    def list_shown(cls, settings: Deferred, counts: np.ndarray) -> Sequence[np.ndarray]:
        changed = counts * cls.find_factors(settings, fill_empty(counts))
        return [counts, changed] if settings.start else [changed]
