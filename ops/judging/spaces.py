"""How far a set of images lies from real ones, in several feature spaces that do not share their blind spots.

A scorer that has learnt little cannot tell strokes from noise, and a random network does not know what matters to a
class. So nothing is decided by one space alone. The spaces are the scorer's features, those of a network with random
weights, and texture (sharpness, edges, colours), which is computed by fixed formulas. Distances are energy distances,
with standard errors by the jackknife over images. This module knows no generator and no threshold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ops.metrics.emptiness import add_noise
from ops.metrics.energy import estimate_energy_distance
from ops.metrics.random_network import MIN_SIDE, embed_images
from ops.metrics.texture import describe_texture
from ops.metrics.whitening import fit_whitening
from ops.statistics.intervals import Estimate, average

if TYPE_CHECKING:
    from ops.judging.scorer import Scorer

SCORER, RANDOM, TEXTURE = "scorer", "random network", "texture"
MIN_TEXTURE_SIDE = 4
MIN_HELD_OUT = 20  # with fewer, images are compared with the training images, and not by the scorer, which knows them
MIN_IMAGES = 3  # of an energy distance
MOST = 1_000  # images of a set, at most: enough for errors far below any decision, and quadratic in time
REACH = 4.0  # standard deviations of real images, beyond which a feature is only "far"
TOLERANCE = 15.0  # grey levels of noise: a feature is compared no finer than these change it

Describe = Callable[[Tensor], np.ndarray]


@dataclass(frozen=True, eq=False)
class _Real:
    """Real images in the features of one network, whitened. points: float64 [n, d], of the images to compare with.
    unseen: the same of training images that neither the network nor the whitening has seen; None if there are none.
    fold: of the training images that the network has not seen, where it is one of several; else 0."""

    describe: Describe
    centre: np.ndarray
    whitening: np.ndarray
    points: np.ndarray
    unseen: np.ndarray | None
    fold: int = 0

    def place(self, images: Tensor) -> np.ndarray:
        """Points float64 [n, d]. Far features count as far, not by how far: one alone would outweigh all others."""
        points = (self.describe(images).astype(np.float64) - self.centre) @ self.whitening
        return REACH * np.tanh(points / REACH)


class FeatureSpaces:
    """Distances of images from real ones; the same images give the same numbers.

    Parameters
    ----------
    train : the generator's training images, uint8 [n, C, H, W].
    held_out : real images that neither generator nor scorer has seen, uint8 [m, C, H, W]; the comparison is with them,
        or with the training images if there are fewer than MIN_HELD_OUT.
    scorer, folds : the cross-fitted networks, and the fold of each training image, int [n]; None: without that space.
    """

    def __init__(
        self, train: Tensor, held_out: Tensor, *, scorer: Scorer | None = None, folds: np.ndarray | None = None
    ) -> None:
        enough, everything = len(held_out) >= MIN_HELD_OUT, np.arange(len(train))
        self._folds = folds
        self._spaces: dict[str, list[_Real]] = {}

        def add(name: str, describe: Describe, rows: np.ndarray, fold: int = 0) -> None:
            """One half of the training images fits the whitening, the other half shows what it makes of new images."""
            mixed = np.random.default_rng(0).permutation(rows)
            fitted, unseen = (_thin(train[torch.from_numpy(mixed[half::2])]) for half in (0, 1))
            if len(unseen) >= MIN_IMAGES:
                real = _fit(describe, fitted, _thin(held_out) if enough else unseen, unseen if enough else None)
                self._spaces.setdefault(name, []).append(replace(real, fold=fold))

        if scorer is not None and folds is not None and enough:
            for number in range(len(scorer.models)):
                add(SCORER, _Fold(scorer, number), np.flatnonzero(folds == number), number)
        if min(train.shape[2:]) >= MIN_SIDE:
            add(RANDOM, embed_images, everything)
        if min(train.shape[2:]) >= MIN_TEXTURE_SIDE:
            add(TEXTURE, describe_texture, everything)

    @property
    def names(self) -> tuple[str, ...]:
        """The spaces that these images have; small pictures have fewer."""
        return tuple(self._spaces)

    def measure(self, images: Tensor, parents: np.ndarray | None = None) -> dict[str, Estimate]:
        """The distance of images uint8 [n, C, H, W] by space, n at least MIN_IMAGES; 0 for images like the real ones.

        `parents` int [n] are the variants' parents, by training row: the scorer's networks judge only variants of
        images that they did not see.
        """
        found = {}
        for name, networks in self._spaces.items():
            judged = None if parents is None or name != SCORER or self._folds is None else self._folds[parents]
            found[name] = _average_networks(networks, images, judged)
        return found

    def measure_real(self) -> Mapping[str, Estimate]:
        """The distance of real training images by space, which a perfect generator would reach; about 0."""
        return {name: average([_measure_unseen(real) for real in networks]) for name, networks in self._spaces.items()}


@dataclass(frozen=True)
class _Fold:
    """The features of one of the scorer's networks."""

    scorer: Scorer
    number: int

    def __call__(self, images: Tensor) -> np.ndarray:
        return self.scorer.fold_features(self.number, images)


def _fit(describe: Describe, fitted: Tensor, held_out: Tensor, unseen: Tensor | None) -> _Real:
    """Whiten by the covariance of `fitted`, and no finer than noise of TOLERANCE changes the features.

    Flat graphics have hardly any spread in some features of texture. Without the tolerance every trace of noise on them
    would lie as far off as noise alone.
    """
    features = describe(fitted).astype(np.float64)
    noisy = describe(add_noise(fitted.float(), TOLERANCE, torch.Generator().manual_seed(0)))
    tolerance = np.median(np.abs(noisy - features), axis=0)
    centre, whitening = fit_whitening(features, tolerance)
    real = _Real(describe, centre, whitening, np.empty(0), None)
    return replace(real, points=real.place(held_out), unseen=None if unseen is None else real.place(unseen))


def _average_networks(networks: list[_Real], images: Tensor, judged: np.ndarray | None) -> Estimate:
    """The mean over networks; `judged` int [n] is the fold whose network judges each image."""
    images = images if judged is not None else _thin(images)
    estimates = []
    for real in networks:
        own = np.arange(len(images)) if judged is None else np.flatnonzero(judged == real.fold)
        if len(own) < MIN_IMAGES:
            continue
        found = estimate_energy_distance(real.points, real.place(images[torch.from_numpy(own)]))
        # Influences on this number, for the whole set: images that the network does not judge have none.
        influences = np.zeros(len(images))
        influences[own] = found.influences[1] * len(images) / len(own)
        estimates.append(Estimate(found.value, (found.influences[0], influences)))
    if not estimates:
        raise ValueError("no network has 3 images to judge")
    return average(estimates)


def _measure_unseen(real: _Real) -> Estimate:
    if real.unseen is None:
        return Estimate(0.0, (np.zeros(2),))
    found = estimate_energy_distance(real.points, real.unseen)
    return Estimate(found.value, found.influences[:1])


def _thin(images: Tensor) -> Tensor:
    """At most MOST of the images, chosen at random, but always the same."""
    if len(images) <= MOST:
        return images
    return images[torch.from_numpy(np.random.default_rng(0).permutation(len(images))[:MOST])]
