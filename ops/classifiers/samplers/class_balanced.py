"""All classes equally often: random oversampling."""

from __future__ import annotations

from typing import Any

import numpy as np

from ops.classifiers.data import TrainingSet
from ops.classifiers.ingredients import Budget, Sampler
from ops.recipe.arms import ClassBalancedSampler


class ClassBalanced(Sampler):
    """Weights that give every class the same total at every step."""

    def __init__(self, settings: ClassBalancedSampler, data: TrainingSet, budget: Budget) -> None:
        self.balanced = balance_classes(data.labels.numpy(), data.weights)

    def weights(self, step: int) -> np.ndarray:
        return self.balanced

    @classmethod
    def equals_uniform(cls, settings: Any, counts: np.ndarray) -> bool:
        """True if the classes already weigh the same."""
        return bool(np.allclose(counts, counts[0]))


def balance_classes(labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weights scaled so that every class carries the total weight of the heaviest (random oversampling)."""
    totals = np.bincount(labels, weights=weights)
    return weights * (totals.max() / totals[labels])
