"""Logit adjustment (Menon et al., ICLR 2021, eq. 10): the network learns scores in which all classes count alike.

Cross-entropy is minimal where softmax(z)_y is p(y | x), which is proportional to π_y p(x | y). With τ log π_y added to
the logits while learning, it is minimal where z_y is log p(x | y) + (1 - τ) log π_y up to a constant. With τ = 1 the
bare logits therefore answer as if all classes were equally frequent. This is the balanced softmax of Ren et al. (2020),
which is no kind of its own: the numbers are the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ops.classifiers.class_sizes import are_equal, fill_empty
from ops.classifiers.data import TrainingSet
from ops.classifiers.ingredients import Budget, Loss, Sampler
from ops.recipe.ingredients.losses import LogitAdjustedLoss


class LogitAdjusted(Loss):
    """Cross-entropy of logits + τ log π, π [K] being the shares in which the sampler shows the classes at that step.

    So what a sampler has corrected is not corrected twice. A class that is not shown counts as the rarest that is.
    Images that weigh nothing in the training set are none that this loss sees.
    """

    def __init__(
        self, settings: LogitAdjustedLoss, data: TrainingSet, sampler: Sampler, budget: Budget, device: str
    ) -> None:
        self.tau, self.smoothing = settings.tau, budget.label_smoothing
        self.data, self.sampler, self.device = data, sampler, device
        self.weights = np.empty(0)

    def __call__(self, logits: Tensor, targets: Tensor, step: int) -> Tensor:
        if (weights := self.sampler.weights(step)) is not self.weights:
            self.weights, self.adjustment = weights, self._adjust(weights)
        return F.cross_entropy(logits + self.adjustment, targets, label_smoothing=self.smoothing)

    def _adjust(self, weights: np.ndarray) -> Tensor:
        """τ log π, float32 [K], for the weights of the images."""
        shown = fill_empty(self.data.sum_by_class(np.where(self.data.weights > 0, weights, 0.0)))
        return torch.from_numpy(self.tau * np.log(shown / shown.sum())).float().to(self.device)

    @classmethod
    def equals_plain(cls, settings: Any, counts: np.ndarray, shown: Sequence[np.ndarray] | None) -> bool:
        """True if all classes are shown equally often in all phases, or τ is 0."""
        return settings.tau == 0 or (shown is not None and all(are_equal(each) for each in shown))
