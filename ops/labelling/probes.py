"""Probes: small classifiers on fixed features, which say how probable each class is for an image.

A linear probe is logistic regression on standardised features. The other one asks the nearest labelled images, as in
instance discrimination (Wu et al. 2018, §3.4): each of the K most similar ones votes for its class with the weight
exp(s / τ), where s is the cosine of the two feature vectors. The module does not know where features come from.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np

Method = Literal["linear", "neighbours"]

STRENGTHS = (10.0, 100.0, 1_000.0)  # C times the number of features, from strong to weak regularisation
NEIGHBOURS, TEMPERATURE = 10, 0.07  # K and τ
SMALLEST_SCALE = 1e-6  # a feature that does not vary among labelled images stays 0
ROUNDS, TOLERANCE = 200, 1e-3  # of L-BFGS; stopping early regularises too, and validation judges the result
ASKED_AT_ONCE = 4_096  # images that are compared with the labelled ones at a time


@dataclass(frozen=True)
class Probe:
    """A way to classify. strength: of a linear one, C times the number of features; None for the other."""

    method: Method
    strength: float | None = None


PROBES = (*(Probe("linear", strength) for strength in STRENGTHS), Probe("neighbours"))


def answer(probe: Probe, known: np.ndarray, labels: np.ndarray, asked: np.ndarray, classes: int) -> np.ndarray:
    """Probabilities float64 [m, K] of classes for features float32 [m, F], learnt from features float32 [n, F] with
    labels int [n] in [0, K). A class without labelled images has probability 0. All classes weigh alike in training,
    whatever their sizes.
    """
    mean, scale = known.mean(axis=0), known.std(axis=0)
    scale = np.where(scale < SMALLEST_SCALE, np.inf, scale)
    known, asked = (known - mean) / scale, (asked - mean) / scale
    found = np.unique(labels)
    probabilities = np.zeros((len(asked), classes))
    if len(found) == 1:
        probabilities[:, found] = 1.0
    elif probe.method == "linear":
        assert probe.strength is not None
        probabilities[:, found] = _regress(probe.strength, known, labels, asked)
    else:
        probabilities[:] = _ask_neighbours(known, labels, asked, classes)
    return probabilities


def _regress(strength: float, known: np.ndarray, labels: np.ndarray, asked: np.ndarray) -> np.ndarray:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    regression = LogisticRegression(
        C=strength / known.shape[1], class_weight="balanced", max_iter=ROUNDS, tol=TOLERANCE
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # see ROUNDS
        regression.fit(known, labels)
    return np.asarray(regression.predict_proba(asked))


def _ask_neighbours(known: np.ndarray, labels: np.ndarray, asked: np.ndarray, classes: int) -> np.ndarray:
    """Votes, in each class divided by its number of images, so that a large class is no nearer for its size."""
    known, asked = normalise(known), normalise(asked)
    count = min(NEIGHBOURS, len(known))
    of_class = np.eye(classes) / np.maximum(np.bincount(labels, minlength=classes), 1)[:, np.newaxis]
    votes = np.empty((len(asked), classes))
    for start in range(0, len(asked), ASKED_AT_ONCE):
        some = slice(start, start + ASKED_AT_ONCE)
        similar = asked[some] @ known.T
        nearest = np.argsort(-similar, axis=1, kind="stable")[:, :count]
        # Relative to the nearest one, so that nothing overflows.
        top = np.take_along_axis(similar, nearest, 1).astype(np.float64)
        weights = np.exp((top - top[:, :1]) / TEMPERATURE)
        votes[some] = np.einsum("nk,nkc->nc", weights, of_class[labels[nearest]])
    return votes / votes.sum(axis=1, keepdims=True)


def normalise(values: np.ndarray) -> np.ndarray:
    """Rows of length 1; a row of zeros stays one."""
    length = np.linalg.norm(values, axis=1, keepdims=True)
    return np.divide(values, length, out=np.zeros_like(values), where=length > 0)
