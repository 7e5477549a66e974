"""Images in proportion to the inverse of their class's effective number (Cui et al. 2019): drawn, not weighted."""

from __future__ import annotations

import numpy as np

from ops.classifiers.class_sizes import find_effective_numbers
from ops.classifiers.samplers.by_class import ByClass
from ops.recipe.ingredients.samplers import EffectiveNumberSampler


class EffectiveNumber(ByClass):
    """A class's total weight is in proportion to n / E_n: 1 for small classes, and (1 - β) n for very large ones."""

    @classmethod
    def find_factors(cls, settings: EffectiveNumberSampler, counts: np.ndarray) -> np.ndarray:
        effective = find_effective_numbers(counts, settings.beta)
        factors: np.ndarray = effective.max() / effective
        return factors
