"""Cross-entropy in which all classes weigh the same, whatever their number of images."""

from __future__ import annotations

import numpy as np

from ops.classifiers.class_sizes import fill_empty
from ops.classifiers.losses.weighted import Weighted
from ops.recipe.ingredients.losses import ClassWeightedLoss


class ClassWeighted(Weighted):
    """A class of size W_c weighs W / (K · W_c), W being the sum over the K classes.

    This is scikit-learn's "balanced" if all images weigh 1. A class without images weighs as much as the smallest.
    """

    @classmethod
    def find_weights(cls, settings: ClassWeightedLoss, counts: np.ndarray) -> np.ndarray:
        weights: np.ndarray = counts.sum() / (len(counts) * fill_empty(counts))
        return weights
