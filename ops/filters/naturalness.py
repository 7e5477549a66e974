"""Does an image have the texture of real images? Texture features are fixed formulas, not learned.

A scorer that has learnt little sees no difference between a picture and noise; here nothing is learnt but how far real
images lie apart. The distance is that to the nearest real training image of any class, in whitened features (as Sun et
al. 2022, "Out-of-distribution detection with deep nearest neighbors", have it), measured against what is usual among
real images. It knows no class and no threshold.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from ops.filters.texture import describe_texture
from ops.filters.typicality import shrink_covariance, whiten
from ops.metrics.distances import find_nearest_distances

POINTS = 4096  # of the real images, so many at most are compared with
PARTS = 5  # the images are held out in so many parts, to see how far real ones lie from others
USUAL = 0.99  # the quantile of the held-out parts' distances that counts as distance 1
LEAST = 1e-6  # the usual most is not less


@dataclass(frozen=True, eq=False)
class Surroundings:
    """Real images as points. centre: float64 [d]. whitening: float64 [d, d]. points: float32 [m, d], whitened.

    usual: the distance to the nearest point that few further real images exceed (quantile USUAL).
    """

    centre: np.ndarray
    whitening: np.ndarray
    points: np.ndarray
    usual: float = 1.0

    def measure(self, features: np.ndarray) -> np.ndarray:
        """Distance of features [n, d] to the nearest point, float64 [n]."""
        asked = ((features - self.centre) @ self.whitening).astype(np.float32)
        return find_nearest_distances(asked, self.points).astype(np.float32).astype(np.float64) / self.usual


def fit_naturalness(images: Tensor) -> Surroundings:
    """Of the real training images uint8 [n, C, H, W]; ValueError for fewer than 2."""
    if len(images) < 2:
        raise ValueError(f"there are {len(images)} training images; 2 or more are needed")
    features = describe_texture(images[:: -(-len(images) // POINTS)]).astype(np.float64)
    apart = hold_out(features)
    return place(features, max(LEAST, float(np.quantile(apart, USUAL))) if len(apart) else 1.0)


def measure_naturalness(real: Surroundings, images: Tensor) -> np.ndarray:
    """float32 [n], 0 or less, of uint8 images [n, C, H, W]: 0 is a real image, about -1 the edge of the usual."""
    return (-real.measure(describe_texture(images))).astype(np.float32)


def place(features: np.ndarray, usual: float = 1.0) -> Surroundings:
    """The surroundings that real images with features float64 [n, d] make.

    Features are in units of their own. They are standardised before the covariance is shrunk, so that one of small
    numbers counts as much as others; one that does not vary is left out.
    """
    centre, spread = features.mean(axis=0), features.std(axis=0)
    scale = np.divide(1, spread, out=np.zeros_like(spread), where=spread > LEAST)
    whitening = scale[:, None] * whiten(shrink_covariance((features - centre) * scale))
    return Surroundings(centre, whitening, ((features - centre) @ whitening).astype(np.float32), usual)


def hold_out(features: np.ndarray) -> np.ndarray:
    """Distances float64 of points, each of PARTS parts in turn measured by what was fitted on the others.

    Among points that the covariance was fitted on distances are shorter than those of any further image. Of fewer than
    4 points none are known.
    """
    if len(features) < 4:
        return np.empty(0)
    part = np.arange(len(features)) % PARTS
    found = [place(features[part != held]).measure(features[part == held]) for held in np.unique(part)]
    return np.concatenate(found)
