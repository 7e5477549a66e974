"""The class-balanced loss (Cui et al., CVPR 2019): classes weigh the inverse of their effective number of images."""

from __future__ import annotations

import numpy as np

from ops.classifiers.class_sizes import weigh_effectively
from ops.classifiers.losses.weighted import Weighted
from ops.recipe.ingredients.losses import EffectiveNumberLoss


class EffectivelyWeighted(Weighted):
    """A class of size n weighs in proportion to (1 - β) / (1 - β^n); the weights sum to the number of classes."""

    @classmethod
    def find_weights(cls, settings: EffectiveNumberLoss, counts: np.ndarray) -> np.ndarray:
        return weigh_effectively(counts, settings.beta)
