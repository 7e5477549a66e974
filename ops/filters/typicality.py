"""How typical an image is of its label, in the features of the cross-fitted scorer.

Each of the scorer's networks has a Gaussian per class in its features, with one covariance for all classes (Lee et al.
2018, section 2.1). It is fitted on the real training images that this network did not see, because features of images
seen in training lie closer together. It knows nothing of thresholds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from ops.judging.scorer import Scorer


@dataclass(frozen=True, eq=False)
class ClassGaussians:
    """The Gaussians of one network. means: float32 [K, d], nan for a class without images. whitening: float32 [d, d];
    the squared norm of a difference times it is the squared Mahalanobis distance."""

    means: np.ndarray
    whitening: np.ndarray


def fit_classes(features: np.ndarray, labels: np.ndarray, classes: int) -> ClassGaussians:
    """The Gaussians of features [n, d] with labels int [n], n at least 2; the covariance is shrunk."""
    features = features.astype(np.float64)
    means = np.full((classes, features.shape[1]), np.nan)
    for label in np.unique(labels):
        means[label] = features[labels == label].mean(axis=0)
    whitening = whiten(shrink_covariance(features - means[labels]))
    return ClassGaussians(means.astype(np.float32), whitening.astype(np.float32))


def whiten(covariance: np.ndarray) -> np.ndarray:
    """[d, d]: differences [n, d] times this have unit covariance."""
    values, vectors = np.linalg.eigh(covariance)
    # Features that never vary, such as a dead unit's, are left out.
    least = max(values[-1], 0.0) * 1e-6
    scales = np.where(values > least, 1 / np.sqrt(np.maximum(values, max(least, 1e-30))), 0.0)
    whitening: np.ndarray = vectors * scales
    return whitening


def shrink_covariance(centred: np.ndarray) -> np.ndarray:
    """The covariance [d, d] of rows [n, d] of mean 0, shrunk towards a multiple of the identity by the best share.

    Ledoit and Wolf 2004, "A well-conditioned estimator for large-dimensional covariance matrices", lemma 3.1 to 3.5.
    """
    count, size = centred.shape
    sample = centred.T @ centred / count
    level = np.trace(sample) / size
    spread = np.square(sample - level * np.eye(size)).sum() / size
    # mean ||x x' - S||^2 = mean |x|^4 - ||S||^2.
    error = (np.square(np.square(centred).sum(axis=1)).mean() - np.square(sample).sum()) / (count * size)
    share = min(1.0, error / spread) if spread > 0 else 1.0
    return (1 - share) * sample + share * level * np.eye(size)


def fit_typicality(scorer: Scorer, images: Tensor, labels: np.ndarray, folds: np.ndarray) -> list[ClassGaussians]:
    """The Gaussians of each of the scorer's networks, on training images uint8 [n, C, H, W] with labels int [n].

    folds: int [n], the network that each image was held out from. ValueError for a fold of fewer than 2 images.
    """
    fitted = []
    classes = int(labels.max()) + 1
    for fold in range(len(scorer.models)):
        rows = np.flatnonzero(folds == fold)
        if len(rows) < 2:
            raise ValueError(f"fold {fold} has {len(rows)} images; 2 or more are needed")
        features = scorer.fold_features(fold, images[torch.from_numpy(rows)])
        fitted.append(fit_classes(features, labels[rows], classes))
    return fitted


def measure_typicality(
    fitted: Sequence[ClassGaussians], features: Sequence[np.ndarray], labels: np.ndarray
) -> np.ndarray:
    """How typical images are of their labels int [n], float32 [n], 0 or less; 0 is the mean of the class.

    Minus the squared Mahalanobis distance to the class's mean divided by the number of features, averaged over the
    networks; `features` are float32 [n, d] of each network. ValueError for a label that no network has a class for.
    """
    total, counted = np.zeros(len(labels)), np.zeros(len(labels))
    for gaussians, found in zip(fitted, features, strict=True):
        if len(labels) and labels.max() >= len(gaussians.means):
            raise ValueError(
                f"label {labels.max()} has no training images; classes are 0 to {len(gaussians.means) - 1}"
            )
        distance = np.square((found - gaussians.means[labels]) @ gaussians.whitening).mean(axis=1)
        known = np.isfinite(distance)
        total += np.where(known, distance, 0)
        counted += known
    if (counted == 0).any():
        raise ValueError(f"label {labels[counted == 0][0]} has no training images")
    return (-total / counted).astype(np.float32)
