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

from ops.metrics.whitening import shrink_covariance, whiten

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
