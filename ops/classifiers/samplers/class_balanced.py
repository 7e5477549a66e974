"""All classes equally often: random oversampling."""

from __future__ import annotations

import numpy as np

from ops.classifiers.samplers.by_class import ByClass
from ops.recipe.ingredients.samplers import ClassBalancedSampler


class ClassBalanced(ByClass):
    """Every class gets the total weight of the largest."""

    @classmethod
    def find_factors(cls, settings: ClassBalancedSampler, counts: np.ndarray) -> np.ndarray:
        factors: np.ndarray = counts.max() / counts
        return factors
