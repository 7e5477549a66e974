"""How well the scorer's probabilities agree with the label that an image has."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Agreement:
    """One value per image. probability: float32 [n] in 0..1, the label's. margin: float32 [n] in -1..1, by how much
    it exceeds the best other label's. predicted: int64 [n], the likeliest label."""

    probability: np.ndarray
    margin: np.ndarray
    predicted: np.ndarray


def score_labels(probabilities: np.ndarray, labels: np.ndarray) -> Agreement:
    """Of probabilities [n, K], K at least 2, and labels int [n]."""
    rows = np.arange(len(labels))
    own = probabilities[rows, labels]
    others = probabilities.copy()
    others[rows, labels] = -np.inf
    margin = own - others.max(axis=1)
    return Agreement(own.astype(np.float32), margin.astype(np.float32), probabilities.argmax(axis=1))
