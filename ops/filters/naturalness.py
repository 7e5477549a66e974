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
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter
from torch import Tensor

from ops.filters.texture import describe_texture
from ops.filters.typicality import shrink_covariance, whiten
from ops.metrics.distances import find_nearest_distances

POINTS = 4096  # at most this many real images are compared with
FOLDS = 5  # real images are held out in this many parts, to see how far real images lie from others
USUAL = 0.99  # quantile of the distances of held-out real images
EMPTY = 64  # images without a picture, of each sort
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
    tolerance = np.median(np.abs(_describe(_add_noise(images.float(), 1.0, random)) - features), axis=0)
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
    """Whitened points from the features float64 [n, d] of real images.

    Features have different units, so they are standardised before the covariance is shrunk. tolerance: float64 [d], a
    difference in each feature that means nothing; it is added to the spread (as squares), so that a feature that
    hardly varies among real images does not count for everything. A feature with neither spread nor tolerance is left
    out.
    """
    centre, spread = features.mean(axis=0), np.hypot(features.std(axis=0), tolerance)
    scale = np.divide(1, spread, out=np.zeros_like(spread), where=spread > TINY)
    covariance = shrink_covariance((features - centre) * scale) + np.diag((tolerance * scale) ** 2)
    whitening = scale[:, None] * whiten(covariance)
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


def make_empty(images: Tensor, random: torch.Generator) -> list[Tensor]:
    """Images without a picture, uint8 [EMPTY, C, H, W] each: noise, smooth blobs, blurs in noise."""
    shape = (EMPTY, *images.shape[1:])
    height, width = shape[2:]
    noise = 128 + 64 * torch.randn(shape, generator=random)
    coarse = 128 + 64 * torch.randn((*shape[:2], 4, 4), generator=random)
    blobs = F.interpolate(coarse, (height, width), mode="bicubic")
    some = images[torch.randint(len(images), (EMPTY,), generator=random)].numpy().astype(np.float32)
    blurred = torch.from_numpy(gaussian_filter(some, (0, 0, height / 7, width / 7), mode="nearest"))
    return [_to_levels(noise), _to_levels(blobs), _add_noise(blurred, 40.0, random)]


def _add_noise(levels: Tensor, sd: float, random: torch.Generator) -> Tensor:
    return _to_levels(levels + sd * torch.randn(levels.shape, generator=random))


def _to_levels(values: Tensor) -> Tensor:
    return values.round().clamp(0, 255).to(torch.uint8)


def _describe(images: Tensor) -> np.ndarray:
    return describe_texture(images).astype(np.float64)
