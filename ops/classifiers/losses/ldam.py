"""LDAM (Cao et al., NeurIPS 2019, eq. 10-13): cross-entropy that demands a larger margin of rare classes.

With a class-balanced sampler that begins late it is LDAM-DRS; with weights that begin late (β > 0) it is LDAM-DRW.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ops.classifiers.class_sizes import fill_empty, weigh_effectively
from ops.classifiers.data import TrainingSet
from ops.classifiers.ingredients import Budget, Head, Loss, Sampler
from ops.classifiers.losses.weighted import average_weighted
from ops.recipe.ingredients.losses import LdamLoss


class Ldam(Loss):
    """Cross-entropy of s (cos_c - [c is the label] m_c), from a head whose logits are s cos_c; labels must be hard.

    Margins and weights follow the sizes of the classes in the training set, as published, whatever the sampler shows.
    """

    def __init__(self, settings: LdamLoss, data: TrainingSet, sampler: Sampler, budget: Budget, device: str) -> None:
        if budget.label_smoothing:
            raise ValueError("LDAM needs hard labels: its margin belongs to one class")
        margins = settings.scale * find_margins(data.counts, settings.max_margin)
        self.margins = torch.from_numpy(margins).float().to(device)
        self.weight = torch.from_numpy(weigh_effectively(data.counts, settings.beta)).float().to(device)
        self.is_weighted, self.first = settings.beta > 0, settings.first_step(budget.steps)

    def __call__(self, logits: Tensor, targets: Tensor, step: int) -> Tensor:
        shifted = logits - targets * self.margins
        if step < self.first or not self.is_weighted:
            return F.cross_entropy(shifted, targets)
        each = F.cross_entropy(shifted, targets, weight=self.weight, reduction="none")
        return average_weighted(each, targets, self.weight)

    @classmethod
    def head(cls, settings: LdamLoss) -> Head:
        return {"kind": "cosine", "scale": settings.scale}


def find_margins(sizes: np.ndarray, max_margin: float) -> np.ndarray:
    """m_c in proportion to n_c^(-1/4), float64 [K], the largest being `max_margin`, for class sizes n_c = `sizes` [K].

    >>> find_margins(np.array([5000.0, 50.0]), 0.5).round(4).tolist()
    [0.1581, 0.5]
    """
    margins = fill_empty(sizes) ** -0.25
    return margins * (max_margin / margins.max())
