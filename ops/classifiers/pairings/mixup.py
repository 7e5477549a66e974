"""mixup (Zhang et al. 2018): a batch blended with a permutation of itself."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ops.classifiers.data import TrainingSet, Views
from ops.classifiers.ingredients import Budget, Pairing
from ops.recipe.arms import Mixup


class MixedPairs(Pairing):
    """One λ ~ Beta(α, α) and one permutation for each batch, the same for images and labels."""

    def __init__(self, settings: Mixup, data: TrainingSet, budget: Budget) -> None:
        self.alpha = settings.alpha

    def pair(
        self, images: Tensor, targets: Tensor, views: Views, step: int, rng: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        return mix_pairs(images, targets, self.alpha, rng)


def mix_pairs(images: Tensor, targets: Tensor, alpha: float, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """mixup (Zhang et al. 2018, eq. 1-2): the batch blended with a permutation of itself, one λ ~ Beta(α, α).

    `images` [n, C, H, W] and soft `targets` [n, K] are mixed with the same permutation and the same λ.
    """
    blend = float(rng.beta(alpha, alpha))
    order = torch.from_numpy(rng.permutation(len(images)))
    return torch.lerp(images[order], images, blend), torch.lerp(targets[order], targets, blend)
