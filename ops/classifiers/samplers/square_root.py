"""Classes in proportion to the square root of their size, half-way between uniform and class-balanced."""

from __future__ import annotations

import numpy as np

from ops.classifiers.samplers.by_class import ByClass
from ops.recipe.ingredients.samplers import SquareRootSampler


class SquareRoot(ByClass):
    """Each class gets the geometric mean of its own total weight and that of the largest class."""

    @classmethod
    def find_factors(cls, settings: SquareRootSampler, counts: np.ndarray) -> np.ndarray:
        return np.sqrt(counts.max() / counts)
