"""Is an image made of what real images are made of? Asked of two looks that learnt nothing: an untrained network, texture.

A scorer that has learnt little sees no difference between a picture and noise; here nothing has to be learnt but how
far real images lie apart. The distance is that to the nearest real training image of any class, in whitened features
(as Sun et al. 2022, "Out-of-distribution detection with deep nearest neighbors", have it), measured against what is
usual among real images in that look; the look that finds an image oddest decides. It knows no class and no threshold.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ops.filters.texture import describe_texture
from ops.filters.typicality import shrink_covariance, whiten
from ops.metrics.random_network import LEAST_SIDE, embed_images
from ops.neighbours.search import find_nearest

POINTS = 4096  # of the real images, so many at most are compared with
PARTS = 5  # the images are held out in so many parts, to see how far real ones lie from others
USUAL = 0.99  # of their distances, the quantile that is the usual most
LEAST = 1e-6  # the usual most is not less
CONTRAST = 50.0  # grey levels: what the untrained network sees of every image


@dataclass(frozen=True, eq=False)
class Surroundings:
    """Real images in one look. centre: float64 [d]. whitening: float64 [d, d]. points: float32 [m, d], whitened."""

    centre: np.ndarray
    whitening: np.ndarray
    points: np.ndarray

    def measure(self, features: np.ndarray) -> np.ndarray:
        """Distance of features [n, d] to the nearest point, float64 [n]."""
        asked = ((features - self.centre) @ self.whitening).astype(np.float32)
        return find_nearest(asked, self.points)[0][:, 0].astype(np.float64)


@dataclass(frozen=True, eq=False)
class Look:
    """Features [n, d] of uint8 images [n, C, H, W], the real images in them, and the distance that is the usual most."""

    describe: Callable[[Tensor], np.ndarray]
    surroundings: Surroundings
    usual: float

    def measure(self, images: Tensor) -> np.ndarray:
        return self.surroundings.measure(self.describe(images)) / self.usual


def fit_naturalness(images: Tensor) -> list[Look]:
    """The looks, of the real training images uint8 [n, C, H, W]; ValueError for fewer than 2."""
    if len(images) < 2:
        raise ValueError(f"there are {len(images)} training images; 2 or more are needed")
    images = images[:: -(-len(images) // POINTS)]
    looks = []
    for describe in (embed_contrasts, describe_texture):
        features = describe(images).astype(np.float64)
        apart = hold_out(features)
        usual = max(LEAST, float(np.quantile(apart, USUAL))) if len(apart) else 1.0
        looks.append(Look(describe, fit_surroundings(features), usual))
    return looks


def measure_naturalness(looks: list[Look], images: Tensor) -> np.ndarray:
    """float32 [n], 0 or less, of uint8 images [n, C, H, W]: 0 is a real image, about -1 the edge of the usual."""
    return (-np.max([look.measure(images) for look in looks], axis=0)).astype(np.float32)


def fit_surroundings(features: np.ndarray) -> Surroundings:
    """Of features float64 [n, d]."""
    centre = features.mean(axis=0)
    whitening = whiten(shrink_covariance(features - centre))
    return Surroundings(centre, whitening, ((features - centre) @ whitening).astype(np.float32))


def hold_out(features: np.ndarray) -> np.ndarray:
    """Distances float64 of points, each of PARTS parts in turn measured by what was fitted on the others.

    Among points that the covariance was fitted on distances are shorter than those of any further image. Of fewer than
    4 points none are known.
    """
    part = np.arange(len(features)) % PARTS
    if len(features) < 4:
        return np.empty(0)
    return np.concatenate(
        [fit_surroundings(features[part != held]).measure(features[part == held]) for held in np.unique(part)]
    )


def embed_contrasts(images: Tensor) -> np.ndarray:
    """Features of the untrained network, float32 [n, d], brightness and contrast of each image taken out.

    Images smaller than it allows are drawn larger.
    """
    levels = images.float()
    least = min(images.shape[2:])
    if least < LEAST_SIDE:
        levels = F.interpolate(levels, scale_factor=-(-LEAST_SIDE // least))
    away = levels - levels.mean(dim=(1, 2, 3), keepdim=True)
    spread = away.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
    return embed_images((128 + away * (CONTRAST / (spread + 1))).round().clamp(0, 255).to(torch.uint8))
