"""Naturalness: does an image have the texture of real images? Texture features are fixed formulas; nothing is trained.

A scorer that was trained badly cannot tell a picture from noise, so this score does not use one. It is the distance to
the nearest real training image of any class, in whitened texture features (Sun et al. 2022, "Out-of-distribution
detection with deep nearest neighbors"), beyond what is usual among real images. It knows no class and no threshold.

Two things keep the score from being too strict for flat graphics, such as letters in two colours. Features are compared
no finer than noise of one grey level changes them. And where images without a picture (noise, blobs) lie far off, the
usual ends halfway between the most unusual real images and those.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ops.metrics.distances import find_nearest_distances
from ops.metrics.emptiness import add_noise, make_empty
from ops.metrics.texture import describe_texture
from ops.metrics.whitening import fit_whitening

POINTS = 4096  # at most this many real images are compared with
FOLDS = 5  # real images are held out in this many parts, to see how far real images lie from others
USUAL = 0.99  # quantile of the distances of held-out real images
NEAREST = 0.05  # quantile of the distances of images without a picture
TINY = 1e-6  # smaller spreads and distances count as none


@dataclass(frozen=True, eq=False)
class Surroundings:
    """Real images as points. centre: float64 [d]. whitening: float64 [d, d]. points: float32 [m, d], whitened.

    usual: the distance to the nearest point up to which an image is usual.
    """

    centre: np.ndarray
    whitening: np.ndarray
    points: np.ndarray
    usual: float = 1.0

    def measure(self, features: np.ndarray) -> np.ndarray:
        """Distance of features [n, d] to the nearest point, float64 [n], in units of `usual`."""
        asked = ((features - self.centre) @ self.whitening).astype(np.float32)
        return find_nearest_distances(asked, self.points).astype(np.float32).astype(np.float64) / self.usual


def fit_naturalness(images: Tensor) -> Surroundings:
    """Fit on the real training images uint8 [n, C, H, W]; ValueError for fewer than 2. Same images, same result."""
    if len(images) < 2:
        raise ValueError(f"there are {len(images)} training images; 2 or more are needed")
    images = images[:: -(-len(images) // POINTS)]
    random = torch.Generator().manual_seed(0)
    features = _describe(images)
    tolerance = np.median(np.abs(_describe(add_noise(images.float(), 1.0, random)) - features), axis=0)
    apart = hold_out(features, tolerance)
    real = place(features, tolerance)
    if not len(apart):
        return real
    most = float(np.quantile(apart, USUAL))
    empty = min(float(np.quantile(real.measure(_describe(each)), NEAREST)) for each in make_empty(images, random))
    return place(features, tolerance, max(TINY, most, (most + empty) / 2))


def measure_naturalness(real: Surroundings, images: Tensor) -> np.ndarray:
    """float32 [n], 0 or less, of uint8 images [n, C, H, W]: 0 for a usual image, else how far beyond the usual it lies.

    -1 means twice the distance at which the usual ends.
    """
    return np.minimum(0, 1 - real.measure(_describe(images))).astype(np.float32)


def place(features: np.ndarray, tolerance: np.ndarray, usual: float = 1.0) -> Surroundings:
    """Whitened points from the features float64 [n, d] of real images; `tolerance` as in `fit_whitening`."""
    centre, whitening = fit_whitening(features, tolerance)
    return Surroundings(centre, whitening, ((features - centre) @ whitening).astype(np.float32), usual)


def hold_out(features: np.ndarray, tolerance: np.ndarray) -> np.ndarray:
    """Distances float64 [n] of real images, each measured by what was fitted on the other FOLDS - 1 parts.

    An image that the covariance was fitted on would look nearer than a new one. Empty for fewer than 4 images.
    """
    if len(features) < 4:
        return np.empty(0)
    fold = np.arange(len(features)) % FOLDS
    found = [place(features[fold != held], tolerance).measure(features[fold == held]) for held in np.unique(fold)]
    return np.concatenate(found)


def _describe(images: Tensor) -> np.ndarray:
    return describe_texture(images).astype(np.float64)
