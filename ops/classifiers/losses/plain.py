"""Cross-entropy of soft targets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from ops.classifiers.data import TrainingSet
from ops.classifiers.ingredients import Budget, Loss, Sampler
from ops.recipe.ingredients.losses import PlainLoss


class CrossEntropy(Loss):
    """All images count alike; the budget sets the label smoothing."""

    def __init__(self, settings: PlainLoss, data: TrainingSet, sampler: Sampler, budget: Budget, device: str) -> None:
        self.smoothing = budget.label_smoothing

    def __call__(self, logits: Tensor, targets: Tensor, step: int) -> Tensor:
        return F.cross_entropy(logits, targets, label_smoothing=self.smoothing)

    @classmethod
    def equals_plain(cls, settings: Any, counts: np.ndarray, shown: Sequence[np.ndarray] | None) -> bool:
        return True
