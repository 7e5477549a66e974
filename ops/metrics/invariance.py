"""How much a classifier's answers change under a nuisance: eKLD, the expected KL divergence, class by class.

From Zhou et al., "Do Deep Networks Transfer Invariances Across Classes?" (ICLR 2022). For images x of a class and draws
T of the nuisance

    eKLD = E_x E_T KL( P(.|x) || P(.|Tx) )

with the untransformed image first, in nats. It is 0 for a classifier that the nuisance does not move. An image is on
both sides of its divergence. Draws of one image are not independent, so they are averaged first, and the standard
error is that over the images. This module knows nothing of images, networks or nuisances.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class ClassMeans:
    """A number for each class, its mean over the class's images, with its standard error over them.

    values, errors: float64 [C]. The error of a class with one image is not known: NaN.
    """

    values: np.ndarray
    errors: np.ndarray

    @property
    def mean(self) -> float:
        """Over the classes, which weigh alike."""
        return float(self.values.mean())

    @property
    def error(self) -> float:
        """The standard error of `mean`: sqrt(Σ SE_c²) / C."""
        return math.sqrt(float(np.square(self.errors).sum())) / len(self.errors)


@dataclass(frozen=True, eq=False)
class Invariance:
    """What a nuisance does to the answers to each class.

    classes: numbers of the C classes that have images, int64 [C]. ekld: in nats. agreement: share of the draws whose
    most likely class is that of the untransformed image.
    """

    classes: np.ndarray
    ekld: ClassMeans
    agreement: ClassMeans


def measure_invariance(log_p: np.ndarray, log_q: np.ndarray, labels: np.ndarray) -> Invariance:
    """eKLD and agreement of the answers to n images and to d draws of the nuisance on each.

    log_p: of the untransformed images, any float type [n, K]. log_q: of their draws, [n, d, K]. Both are logits, or
    logarithms of probabilities. labels: the images' classes, int [n]. ValueError for other shapes, for no image or no
    draw, and for values that are not finite.
    """
    if log_p.ndim != 2 or log_q.ndim != 3 or (log_q.shape[0], log_q.shape[2]) != log_p.shape or not log_q.size:
        raise ValueError(f"answers have the shapes {log_p.shape} and {log_q.shape}; allowed: [n, K] and [n, d, K]")
    if labels.shape != log_p.shape[:1]:
        raise ValueError(f"there are {log_p.shape[0]} images and labels of the shape {labels.shape}")
    if not (np.isfinite(log_p).all() and np.isfinite(log_q).all()):
        raise ValueError("some answers are not finite")
    log_p = _normalise(log_p)
    p, named = np.exp(log_p), log_p.argmax(axis=1)
    divergence, agrees = np.zeros(len(p)), np.zeros(len(p))
    for draw in range(log_q.shape[1]):
        log_t = _normalise(log_q[:, draw])
        divergence += (p * (log_p - log_t)).sum(axis=1)
        agrees += log_t.argmax(axis=1) == named
    classes = np.unique(labels)
    ekld, agreement = (_average(each / log_q.shape[1], labels, classes) for each in (divergence, agrees))
    return Invariance(classes, ekld, agreement)


def _normalise(answers: np.ndarray) -> np.ndarray:
    """log softmax of logits [n, K], float64."""
    shifted = answers.astype(np.float64) - answers.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


def _average(values: np.ndarray, labels: np.ndarray, classes: np.ndarray) -> ClassMeans:
    own = [values[labels == c] for c in classes]
    means = np.array([each.mean() for each in own])
    errors = [each.std(ddof=1) / len(each) ** 0.5 if len(each) > 1 else math.nan for each in own]
    return ClassMeans(means, np.array(errors))
