"""Real learners in folds, on populations whose truth is known: a cheap stand-in for chains of generators and networks.

A population has two classes. An image is a vector: a block of features that all arms see, and blocks of which each arm
sees its own. The blocks are exchangeable, so arms that learn in the same way are exactly equally good, whatever the
training images. On one set of training images they are not: that is the variation that overlapping training sets share.

A network is a layer of random rectified features, drawn by its seed, under a ridge regression that is solved exactly.
An expanded arm also learns from vectors that a generator drew: a Gaussian fitted to each class of the fold's training
images. One generator serves all seeds of a fold, as in a chain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from ops.recipe.design import Metric
from ops.verdict.metric import score_answers, score_classes
from ops.verdict.records import Kind

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

SHARED, OWN = 3, 6  # features that all arms see, and features of each block
FRESH = 400  # new images that measure what a fold's networks are truly worth


@dataclass(frozen=True)
class FoldArm:
    """block: which features it sees beside the shared ones. drawn: generated vectors per training image."""

    name: str
    kind: Kind
    block: int
    drawn: float = 0.0
    ridge: float = 1.0
    hidden: int = 24


@dataclass(frozen=True)
class Folded:
    """One experiment. test: bool [arms, S, n], each image answered by its own fold's networks. folds, labels: int [n].

    validation: float64 [arms], the mean score on the folds' validation images. validation_per_class, true: float64
    [arms, 2], the mean accuracy on the images of each class, of validation and of FRESH new images.
    """

    test: BoolArray
    labels: IntArray
    folds: IntArray
    validation: FloatArray
    validation_per_class: FloatArray
    true: FloatArray


@dataclass(frozen=True)
class Population:
    """Arms, and what they learn. signal: distance of the classes in each block. curve: strength of a part of the signal
    that is not linear. noise: share of labels that are wrong. share: of the images in the second class."""

    arms: Sequence[FoldArm]
    signal: float = 0.9
    curve: float = 0.5
    noise: float = 0.05
    share: float = 0.5

    @cached_property
    def class_shares(self) -> FloatArray:
        """Of the images, float64 [2], with the wrong labels."""
        second = self.share + self.noise * (1.0 - 2.0 * self.share)
        return np.array([1.0 - second, second])

    @cached_property
    def blocks(self) -> int:
        return 1 + max(arm.block for arm in self.arms)

    def sample(self, rng: np.random.Generator, images: int) -> tuple[FloatArray, IntArray]:
        """features float64 [n, SHARED + blocks * OWN] and labels int [n]."""
        labels = rng.permutation((np.arange(images) < self.share * images).astype(np.int64))
        sign = 2.0 * labels - 1.0
        x = rng.standard_normal((images, SHARED + self.blocks * OWN))
        x[:, :SHARED] += 0.5 * self.signal / SHARED**0.5 * sign[:, None]
        own = x[:, SHARED:].reshape(images, self.blocks, OWN)
        own[:, :, : OWN // 2] += 0.5 * self.signal / (OWN / 2) ** 0.5 * sign[:, None, None]
        own[:, :, OWN // 2] *= np.exp(self.curve * sign)[:, None]
        wrong = rng.random(images) < self.noise
        return x, np.where(wrong, 1 - labels, labels)

    def draw(
        self, rng: np.random.Generator, *, images: int, folds: int, seeds: int, metric: Metric = "accuracy"
    ) -> Folded:
        """Divide new images into folds, train every arm in each, and let it answer."""
        x, labels = self.sample(rng, images)
        fresh, fresh_labels = self.sample(rng, FRESH)
        members = divide(rng, labels, folds)
        test = np.empty((len(self.arms), seeds, images), dtype=np.bool_)
        validation = np.zeros((len(self.arms), folds))
        per_class, true = np.zeros((2, len(self.arms), folds, 2))
        for fold in range(folds):
            rest = np.flatnonzero(members != fold)
            held_out = rest[divide(rng, labels[rest], 5) == 0]
            train, own = np.setdiff1d(rest, held_out), np.flatnonzero(members == fold)
            drawn, drawn_labels = draw_vectors(rng, x[train], labels[train], 2 * len(train))
            for a, arm in enumerate(self.arms):
                count = round(arm.drawn * len(train))
                learnt = np.concatenate([x[train], drawn[:count]])
                taught = np.concatenate([labels[train], drawn_labels[:count]])
                networks = fit(rng, self._see(arm, learnt), taught, arm, seeds)
                asked = np.concatenate([own, held_out])
                right = networks(self._see(arm, x[asked])) == labels[asked]
                test[a][:, own] = right[:, : len(own)]
                held = right[:, len(own) :]
                validation[a, fold] = score_answers(held, labels[held_out], metric).mean()
                per_class[a, fold] = score_classes(held, labels[held_out]).mean(axis=0)
                known = networks(self._see(arm, fresh)) == fresh_labels
                true[a, fold] = score_classes(known, fresh_labels).mean(axis=0)
        return Folded(test, labels, members, validation.mean(axis=1), per_class.mean(axis=1), true.mean(axis=1))

    def _see(self, arm: FoldArm, x: FloatArray) -> FloatArray:
        first = SHARED + arm.block * OWN
        return np.concatenate([x[:, :SHARED], x[:, first : first + OWN], np.ones((len(x), 1))], axis=1)


def divide(rng: np.random.Generator, labels: IntArray, parts: int) -> IntArray:
    """A stratified part in [0, parts) for each image: int [n]."""
    found = np.empty(len(labels), dtype=np.int64)
    start = 0
    for label in np.unique(labels):
        places = rng.permutation(np.flatnonzero(labels == label))
        found[places] = (start + np.arange(len(places))) % parts
        start += len(places)
    return found


def draw_vectors(rng: np.random.Generator, x: FloatArray, labels: IntArray, count: int) -> tuple[FloatArray, IntArray]:
    """The generator: vectors from a Gaussian with the mean and the variances of each class."""
    wanted = np.resize(rng.permutation(labels), count)
    drawn = np.empty((count, x.shape[1]))
    for label in np.unique(labels):
        known, places = x[labels == label], np.flatnonzero(wanted == label)
        drawn[places] = known.mean(axis=0) + known.std(axis=0) * rng.standard_normal((len(places), x.shape[1]))
    return drawn, wanted


@dataclass(frozen=True)
class Networks:
    """S networks: random layers float64 [S, p, h] and their read-outs float64 [S, h]."""

    layers: FloatArray
    readouts: FloatArray

    def __call__(self, x: FloatArray) -> IntArray:
        """Answers int [S, n] in {0, 1}."""
        return (np.einsum("snh,sh->sn", np.maximum(x @ self.layers, 0.0), self.readouts) > 0).astype(np.int64)


def fit(rng: np.random.Generator, x: FloatArray, labels: IntArray, arm: FoldArm, seeds: int) -> Networks:
    """Train `seeds` networks on x float64 [n, p] and labels int [n]."""
    layers = rng.standard_normal((seeds, x.shape[1], arm.hidden)) / x.shape[1] ** 0.5
    hidden = np.maximum(x @ layers, 0.0)
    turned = hidden.transpose(0, 2, 1)
    gram = turned @ hidden + arm.ridge * np.eye(arm.hidden)
    return Networks(layers, np.linalg.solve(gram, (turned @ (2.0 * labels - 1.0))[..., None])[..., 0])
