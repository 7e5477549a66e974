"""The focal loss (Lin et al., ICCV 2017, eq. 4): images that are answered well already count less."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from ops.classifiers.data import TrainingSet
from ops.classifiers.ingredients import Budget, Loss, Sampler
from ops.recipe.ingredients.losses import FocalLoss


class Focal(Loss):
    """The mean over images of Σ_c t_c (1 - p_c)^γ (-log p_c), p being the softmax and t the targets.

    It is linear in the targets, as cross-entropy is: a blended label costs the blend of what its parts cost.
    """

    def __init__(self, settings: FocalLoss, data: TrainingSet, sampler: Sampler, budget: Budget, device: str) -> None:
        self.gamma, self.smoothing = settings.gamma, budget.label_smoothing

    def __call__(self, logits: Tensor, targets: Tensor, step: int) -> Tensor:
        soft = targets * (1 - self.smoothing) + self.smoothing / targets.shape[1]
        log_p = logits.log_softmax(dim=1)
        # 1 - p is kept above 0, where the power's gradient is not finite for γ < 1.
        miss = (-log_p.expm1()).clamp(min=1e-7)
        return -(soft * miss**self.gamma * log_p).sum(dim=1).mean()

    @classmethod
    def equals_plain(cls, settings: Any, counts: np.ndarray, shown: Sequence[np.ndarray] | None) -> bool:
        """True if γ is 0."""
        return bool(settings.gamma == 0)
