"""How typical an image is of its label: by the scorer's features, by an untrained network's, and by its texture.

Each of the scorer's networks has a Gaussian per class, with one covariance for all (Lee et al. 2018, section 2.1),
fitted on the real training images that this network did not see: on those that it has learned its features lie closer
together than on any others. In the other two looks the distance is that to the nearest real image, whitened (as Sun et
al. 2022, "Out-of-distribution detection with deep nearest neighbors", have it). A distance is measured against what is
usual among real images in that look, and the look that finds an image oddest decides. It knows nothing of thresholds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ops.filters.texture import describe_texture
from ops.metrics.random_network import LEAST_SIDE, embed_images
from ops.neighbours.search import find_nearest

if TYPE_CHECKING:
    from ops.scorer import Scorer

PARTS = 5  # the images are held out in so many parts, to see how far real ones lie from their class
POINTS = 4096  # of the real images, so many at most are compared with
USUAL = 0.99  # of their distances, the quantile that is the usual most
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
    whitening = _whiten(shrink_covariance(features - means[labels]))
    return ClassGaussians(means.astype(np.float32), whitening.astype(np.float32))


def _whiten(covariance: np.ndarray) -> np.ndarray:
    """[d, d]: differences times this have unit covariance."""
    values, vectors = np.linalg.eigh(covariance)
    # Features that never vary, such as a dead unit's, say nothing of how typical an image is.
    least = max(values[-1], 0.0) * 1e-6
    scales = np.where(values > least, 1 / np.sqrt(np.maximum(values, max(least, 1e-30))), 0.0)
    whitening: np.ndarray = vectors * scales
    return whitening


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
class Surroundings:
    """Real images as points. centre: float64 [d]. whitening: float64 [d, d]. points: float32 [m, d], whitened."""

    centre: np.ndarray
    whitening: np.ndarray
    points: np.ndarray

    def measure(self, features: np.ndarray) -> np.ndarray:
        """Distance of features [n, d] to the nearest point, float64 [n]."""
        asked = ((features - self.centre) @ self.whitening).astype(np.float32)
        return find_nearest(asked, self.points)[0][:, 0].astype(np.float64)


@dataclass(frozen=True, eq=False)
class Typicality:
    """How typical images are of their labels, by three looks.

    A scorer that has learnt little sees no difference between a picture and noise. What an untrained network and
    texture see needs no learning: there an image is odd that is like no real image of any class. usual: the distance
    that real images hardly exceed, in each look, float64 [3].
    """

    scorer: tuple[ClassGaussians, ...]
    untrained: Surroundings
    texture: Surroundings
    usual: np.ndarray

    def measure(self, images: Tensor, scored: Sequence[np.ndarray], labels: np.ndarray) -> np.ndarray:
        """float32 [n], 0 or less; about -1 is the edge of the usual in the look that finds an image oddest.

        images: uint8 [n, C, H, W] with labels int [n]; scored: the scorer's features of them, float32 [n, d] of each
        network. ValueError for a label without training images.
        """
        looks = [
            measure_distance(self.scorer, scored, labels),
            self.untrained.measure(embed_contrasts(images)),
            self.texture.measure(describe_texture(images).numpy()),
        ]
        return (-(np.stack(looks, axis=1) / self.usual).max(axis=1)).astype(np.float32)


def fit_typicality(scorer: Scorer, images: Tensor, labels: np.ndarray, folds: np.ndarray) -> Typicality:
    """From the training images uint8 [n, C, H, W] with labels and folds int [n].

    `folds` is how the scorer was trained: each of its networks is asked only about images that it did not see.
    ValueError for a fold of fewer than 2 images.
    """
    classes = int(labels.max()) + 1
    gaussians, distances = [], []
    for fold in range(len(scorer.models)):
        rows = np.flatnonzero(folds == fold)
        if len(rows) < 2:
            raise ValueError(f"fold {fold} has {len(rows)} images; 2 or more are needed")
        features = scorer.fold_features(fold, images[torch.from_numpy(rows)])
        gaussians.append(fit_classes(features, labels[rows], classes))
        distances.append(_hold_out_classes(features, labels[rows], classes))
    untrained, texture = embed_contrasts(images), describe_texture(images).numpy()
    usual = [
        _find_usual(np.concatenate(distances)),
        _find_usual(_hold_out_surroundings(untrained)),
        _find_usual(_hold_out_surroundings(texture)),
    ]
    return Typicality(tuple(gaussians), fit_surroundings(untrained), fit_surroundings(texture), np.array(usual))


def fit_surroundings(features: np.ndarray) -> Surroundings:
    """Of features [n, d]."""
    points = features[:: max(1, -(-len(features) // POINTS))].astype(np.float64)
    centre = points.mean(axis=0)
    whitening = _whiten(shrink_covariance(points - centre))
    return Surroundings(centre, whitening, ((points - centre) @ whitening).astype(np.float32))


def _hold_out(count: int, measure: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
    """Distances of so many images, each of PARTS parts in turn measured by what was fitted on the rest.

    measure: from rows to fit on and rows to measure, int [n] each, to the distances of the latter.
    """
    parts = np.arange(count) % PARTS
    found = [
        measure(np.flatnonzero(parts != part), np.flatnonzero(parts == part))
        for part in np.unique(parts)
        if (parts != part).sum() >= 2
    ]
    return np.concatenate([np.empty(0), *found])


def _hold_out_surroundings(features: np.ndarray) -> np.ndarray:
    return _hold_out(len(features), lambda fit, held: fit_surroundings(features[fit]).measure(features[held]))


def _hold_out_classes(features: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    found = _hold_out(
        len(labels),
        lambda fit, held: _distance(fit_classes(features[fit], labels[fit], classes), features[held], labels[held]),
    )
    return found[np.isfinite(found)]


def _find_usual(distances: np.ndarray) -> float:
    return max(LEAST, float(np.quantile(distances, USUAL))) if len(distances) else 1.0


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


def measure_distance(
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
