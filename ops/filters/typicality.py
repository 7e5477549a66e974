"""How typical an image is of its label: by the scorer's features, by an untrained network's, and by its texture.

Each look has a Gaussian per class, with one covariance for all (Lee et al. 2018, section 2.1), fitted on real training
images, of each of the scorer's networks on those that it did not see: on those that it has learned its features lie
closer together than on any others. A distance is measured against what is usual among real images in that look, and
the look that finds an image oddest decides. It knows nothing of thresholds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ops.filters.texture import describe_texture
from ops.metrics.random_network import LEAST_SIDE, embed_images

if TYPE_CHECKING:
    from ops.scorer import Scorer

PARTS = 5  # the images are held out in so many parts, to see how far real ones lie from their class
USUAL = 0.98  # of their distances, the quantile that is the usual most
LEAST = 1e-6  # a usual distance is not less
STANDARD = 50.0  # grey levels: the contrast that the untrained network sees of every image


@dataclass(frozen=True, eq=False)
class ClassGaussians:
    """Of one network. means: float32 [K, d], nan for a class that it has no image of. whitening: float32 [d, d]; the
    square of a difference times it is the squared Mahalanobis distance."""

    means: np.ndarray
    whitening: np.ndarray


def fit_classes(features: np.ndarray, labels: np.ndarray, classes: int) -> ClassGaussians:
    """Of features [n, d] with labels int [n], n at least 2; the covariance is shrunk (`shrink_covariance`)."""
    features = features.astype(np.float64)
    means = np.full((classes, features.shape[1]), np.nan)
    for label in np.unique(labels):
        means[label] = features[labels == label].mean(axis=0)
    values, vectors = np.linalg.eigh(shrink_covariance(features - means[labels]))
    # Features that never vary, such as a dead unit's, say nothing of how typical an image is.
    least = max(values[-1], 0.0) * 1e-6
    scales = np.where(values > least, 1 / np.sqrt(np.maximum(values, max(least, 1e-30))), 0.0)
    return ClassGaussians(means.astype(np.float32), (vectors * scales).astype(np.float32))


def shrink_covariance(centred: np.ndarray) -> np.ndarray:
    """The covariance [d, d] of rows [n, d] of mean 0, moved towards a multiple of the identity as far as is best.

    Ledoit and Wolf 2004, "A well-conditioned estimator for large-dimensional covariance matrices", lemma 3.1 to 3.5.
    """
    count, size = centred.shape
    sample = centred.T @ centred / count
    level = np.trace(sample) / size
    spread = np.square(sample - level * np.eye(size)).sum() / size
    # The mean of ||x x' - S||^2 is that of |x|^4, less ||S||^2.
    error = (np.square(np.square(centred).sum(axis=1)).mean() - np.square(sample).sum()) / (count * size)
    share = min(1.0, error / spread) if spread > 0 else 1.0
    return (1 - share) * sample + share * level * np.eye(size)


@dataclass(frozen=True, eq=False)
class Part:
    """One look at an image. gaussians: of each network that has this look. usual: what real images hardly exceed."""

    gaussians: tuple[ClassGaussians, ...]
    usual: float

    def measure(self, features: Sequence[np.ndarray], labels: np.ndarray) -> np.ndarray:
        """Distance from the class, float64 [n], 1 being the usual most; features float32 [n, d] of each network."""
        return _measure_distance(self.gaussians, features, labels) / self.usual


@dataclass(frozen=True, eq=False)
class Typicality:
    """How typical images are of their labels, by three looks: of the scorer, an untrained network, and texture.

    A scorer that has learnt little sees no difference between a picture and noise; the others need no learning.
    """

    scorer: Part
    untrained: Part
    texture: Part

    def measure(self, images: Tensor, scored: Sequence[np.ndarray], labels: np.ndarray) -> np.ndarray:
        """float32 [n], 0 or less; 0 is the middle of the class in every look, about -1 the edge of the usual in one.

        images: uint8 [n, C, H, W] with labels int [n]; scored: the scorer's features of them, float32 [n, d] of each
        network. ValueError for a label without training images.
        """
        looks = (
            self.scorer.measure(scored, labels),
            self.untrained.measure([embed_contrasts(images)], labels),
            self.texture.measure([describe_texture(images).numpy()], labels),
        )
        return (-np.max(looks, axis=0)).astype(np.float32)


def fit_typicality(scorer: Scorer, images: Tensor, labels: np.ndarray, folds: np.ndarray) -> Typicality:
    """From the training images uint8 [n, C, H, W] with labels and folds int [n].

    `folds` is how the scorer was trained: each of its networks is asked only about images that it did not see.
    ValueError for a fold of fewer than 2 images.
    """
    learnt = []
    for fold in range(len(scorer.models)):
        rows = np.flatnonzero(folds == fold)
        if len(rows) < 2:
            raise ValueError(f"fold {fold} has {len(rows)} images; 2 or more are needed")
        learnt.append((scorer.fold_features(fold, images[torch.from_numpy(rows)]), labels[rows]))
    return Typicality(
        fit_part(learnt),
        fit_part([(embed_contrasts(images), labels)]),
        fit_part([(describe_texture(images).numpy(), labels)]),
    )


def fit_part(seen: Sequence[tuple[np.ndarray, np.ndarray]]) -> Part:
    """From features [n, d] and labels int [n] of each network.

    The usual is a high quantile of the distances of images that the Gaussians were not fitted on: each in turn of
    PARTS parts is held out.
    """
    classes = 1 + max(int(labels.max()) for _, labels in seen)
    distances = []
    for features, labels in seen:
        part = np.arange(len(labels)) % min(PARTS, len(labels))
        for held in np.unique(part):
            rest = part != held
            if rest.sum() >= 2:
                fitted = fit_classes(features[rest], labels[rest], classes)
                found = _distance(fitted, features[~rest], labels[~rest])
                distances.append(found[np.isfinite(found)])
    known = np.concatenate([np.empty(0), *distances])
    usual = float(np.quantile(known, USUAL)) if len(known) else 1.0
    gaussians = tuple(fit_classes(features, labels, classes) for features, labels in seen)
    return Part(gaussians, max(usual, LEAST))


def embed_contrasts(images: Tensor) -> np.ndarray:
    """Features of the untrained network, float32 [n, d], brightness and contrast of each image taken out.

    Images of less than its least size are drawn larger.
    """
    levels = images.float()
    least = min(images.shape[2:])
    if least < LEAST_SIDE:
        levels = F.interpolate(levels, scale_factor=-(-LEAST_SIDE // least))
    away = levels - levels.mean(dim=(1, 2, 3), keepdim=True)
    spread = away.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
    return embed_images((128 + away * (STANDARD / (spread + 1))).round().clamp(0, 255).to(torch.uint8))


def _measure_distance(
    gaussians: Sequence[ClassGaussians], features: Sequence[np.ndarray], labels: np.ndarray
) -> np.ndarray:
    """The squared Mahalanobis distance to the class's mean over the number of features, float64 [n], the networks' mean.

    ValueError for a label that no network has a class for.
    """
    total, counted = np.zeros(len(labels)), np.zeros(len(labels))
    for fitted, found in zip(gaussians, features, strict=True):
        if len(labels) and labels.max() >= len(fitted.means):
            raise ValueError(f"label {labels.max()} has no training images; classes are 0 to {len(fitted.means) - 1}")
        distance = _distance(fitted, found, labels)
        known = np.isfinite(distance)
        total += np.where(known, distance, 0)
        counted += known
    if (counted == 0).any():
        raise ValueError(f"label {labels[counted == 0][0]} has no training images")
    return total / counted


def _distance(fitted: ClassGaussians, features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """NaN for a label that this network has no class for."""
    distance: np.ndarray = np.square((features - fitted.means[labels]) @ fitted.whitening).mean(axis=1)
    return distance
