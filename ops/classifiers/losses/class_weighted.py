"""Cross-entropy in which all classes weigh the same, whatever their number of images."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ops.classifiers.data import TrainingSet
from ops.classifiers.ingredients import Budget, Loss
from ops.recipe.arms import ClassWeightedLoss


class ClassWeighted(Loss):
    """Each class's part of the cross-entropy is multiplied by W / (K · W_c)."""

    def __init__(self, settings: ClassWeightedLoss, data: TrainingSet, budget: Budget, device: str) -> None:
        self.weight = class_weights(data.counts).to(device)
        self.smoothing = budget.label_smoothing

    def __call__(self, logits: Tensor, targets: Tensor, step: int) -> Tensor:
        return F.cross_entropy(logits, targets, weight=self.weight, label_smoothing=self.smoothing)

    @classmethod
    def equals_plain(cls, settings: Any, counts: np.ndarray) -> bool:
        """True if all classes weigh the same, which makes all class weights 1."""
        return bool(np.allclose(counts, counts[0]))


def class_weights(counts: np.ndarray) -> Tensor:
    """W / (K · W_c) per class, float32 [K], W_c = `counts` [K] being summed image weights.

    scikit-learn's "balanced" if all images weigh 1.
    """
    totals = torch.from_numpy(counts)
    return (totals.sum() / (len(totals) * totals.clamp(min=1e-12))).float()
