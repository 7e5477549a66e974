"""Folds for cross-fitting: every image is judged by a model that was fitted on the images of the other folds."""

from __future__ import annotations

import numpy as np

LARGE = 1_000  # validation images from which they alone are asked


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


def divide_for_choices(train: np.ndarray, validation: np.ndarray, folds: int, rng: np.random.Generator) -> np.ndarray:
    """The fold of each image, int64 [n + m], of training labels int [n] and validation labels int [m].

    Few validation images say little, so both splits are divided into folds. With LARGE validation images these are the
    only fold, 0, and training images have fold -1: they are only learnt from.
    """
    if len(validation) >= LARGE:
        return np.repeat([-1, 0], [len(train), len(validation)])
    return divide_into_folds(np.concatenate([train, validation]), folds, rng)
