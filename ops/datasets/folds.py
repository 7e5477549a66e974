"""Folds for cross-fitting: every image is judged by a model that was fitted on the images of the other folds."""

from __future__ import annotations

import numpy as np


def assign_folds(labels: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """As `divide_into_folds`; the same seed gives the same folds."""
    return divide_into_folds(labels, folds, np.random.default_rng([seed, 2]))


def divide_into_folds(labels: np.ndarray, folds: int, rng: np.random.Generator) -> np.ndarray:
    """The fold of each image, int64 [n]; within each class the folds' sizes differ by at most one."""
    assigned = np.empty(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        assigned[members] = np.arange(len(members)) % folds
    return assigned
