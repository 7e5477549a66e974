"""What losses have in common that are cross-entropies in which classes weigh differently.

Their weights may begin at a later step: deferred re-weighting (DRW; Cao et al. 2019).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ops.classifiers.data import TrainingSet
from ops.classifiers.ingredients import Budget, Loss, Sampler
from ops.recipe.ingredients.balancing import Deferred


def average_weighted(losses: Tensor, targets: Tensor, weight: Tensor) -> Tensor:
    """The mean loss in which an image counts as its class weighs, as published with deferred weights.

    losses: already multiplied by the weights, float [n]. targets: float [n, K]. weight: float [K]. Unlike the mean over
    the images it does not shrink when the weights begin.
    """
    return losses.sum() / (targets * weight).sum()


class Weighted(Loss):
    """Each class's part of the cross-entropy is multiplied by its weight, from the step on at which that begins.

    The weights follow the sizes of the classes in the training set, whatever a sampler of classes shows.
    """

    def __init__(self, settings: Deferred, data: TrainingSet, sampler: Sampler, budget: Budget, device: str) -> None:
        self.weight = torch.from_numpy(self.find_weights(settings, data.counts)).float().to(device)
        self.first = settings.first_step(budget.steps)
        self.smoothing = budget.label_smoothing

    def __call__(self, logits: Tensor, targets: Tensor, step: int) -> Tensor:
        weight = self.weight if step >= self.first else None
        if weight is None or self.first == 0:  # at once: Cui et al. 2019, eq. 9, where weights have the mean 1
            return F.cross_entropy(logits, targets, weight=weight, label_smoothing=self.smoothing)
        each = F.cross_entropy(logits, targets, weight=weight, label_smoothing=self.smoothing, reduction="none")
        return average_weighted(each, targets, weight)

    @classmethod
    @abstractmethod
    def find_weights(cls, settings: Any, counts: np.ndarray) -> np.ndarray:
        """The weight of each class, float64 [K], for classes of sizes `counts` [K]; a size of 0 gets a finite one."""

    @classmethod
    def equals_plain(cls, settings: Any, counts: np.ndarray, shown: Sequence[np.ndarray] | None) -> bool:
        """True if all weights are 1."""
        return bool(np.allclose(cls.find_weights(settings, counts), 1))
