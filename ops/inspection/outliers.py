"""Which images look like no other of their label: far from its Gaussian.

Typicality as in `ops.filters.typicality` (one Gaussian a class, one covariance for all), in fixed features. Each image
is measured against Gaussians that it took no part in.
"""

from __future__ import annotations

import numpy as np

from ops.datasets.folds import assign_folds
from ops.filters.typicality import fit_classes, measure_typicality

AXES = 60  # principal axes that are asked
FOLDS = 5
LEAST = 20  # images, below which nothing is usual
LEAST_OF_CLASS = 5
FAR = 3.0  # robust standard deviations from the median, of a log distance: at most one clean image in 300 lies farther


def find_outliers(axes: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows int [m] of outliers and how far out they are, in robust standard deviations: the farthest first.

    axes: float [n, A], of `features.describe_set`; labels: int [n]. A label with fewer than LEAST_OF_CLASS images has
    no outliers.
    """
    counts = np.bincount(labels) if len(labels) else np.zeros(1, int)
    rows = np.flatnonzero(counts[labels] >= LEAST_OF_CLASS)
    if len(rows) < LEAST:
        return np.empty(0, np.int64), np.empty(0)
    score = measure_excess(np.log(_measure_distances(axes[rows, :AXES], labels[rows]) + 1e-6))
    far = np.flatnonzero(score > FAR)
    order = far[np.argsort(-score[far], kind="stable")]
    return rows[order], score[order]


def measure_excess(values: np.ndarray) -> np.ndarray:
    """How far float values [n] lie above their median, in robust standard deviations (1.4826 times the median absolute
    deviation); 0 for all where most are equal."""
    away = values - np.median(values)
    spread = 1.4826 * np.median(np.abs(away))
    return np.asarray(away / spread if spread > 1e-9 else np.zeros_like(away))


def _measure_distances(axes: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Squared Mahalanobis distance per axis float [n] to the class's mean, by Gaussians of the other folds."""
    folds = assign_folds(labels, FOLDS, seed=0)
    distances = np.empty(len(labels))
    for fold in range(FOLDS):
        learnt, held = folds != fold, folds == fold
        fitted = fit_classes(axes[learnt], labels[learnt], int(labels.max()) + 1)
        distances[held] = -measure_typicality([fitted], [axes[held]], labels[held])
    return distances
