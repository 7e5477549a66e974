"""A probe: cross-fitted logistic regression on features that were learnt without the labels of these images.

Fold f's head never sees the labels of fold f, as with the networks of `ops.judging.scorer`, whose folds it takes over.
The features themselves may have seen the images, but no label. One strength of regularisation is chosen for all heads,
by the log loss on what they did not see, and then one temperature. What computes the features is not known here.
"""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np

from ops.classifiers.reference.fitting import STRENGTHS, measure_scale, read_weights
from ops.judging.scorer import fit_temperature, negative_log_likelihood, softmax

ROUNDS = 500  # of L-BFGS, at most
NEVER = -1e4  # the logit of a class that a head had no image of: its probability is 0, and its logarithm is finite


class FittedHeads(NamedTuple):
    """Of F folds, K classes and d features: mean, deviation [F, d], weights [F, K, d], intercepts [F, K], all float32,
    a temperature, the strength that was chosen, and the logits float [n, K] of each image by the head that did not see
    it, before the temperature."""

    mean: np.ndarray
    deviation: np.ndarray
    weights: np.ndarray
    intercepts: np.ndarray
    temperature: float
    strength: float
    logits: np.ndarray


def fit_heads(features: np.ndarray, labels: np.ndarray, folds: np.ndarray, classes: int) -> FittedHeads:
    """Heads on features float [n, d] with labels int [n] in 0..classes - 1, and folds int [n] from 0 on.

    Of strengths with equal loss the strongest is taken. ValueError if a fold leaves fewer than two classes to learn.
    """
    for fold in range(int(folds.max()) + 1):
        if len(np.unique(labels[folds != fold])) < 2:
            raise ValueError(f"fold {fold} leaves fewer than two classes, which a probe cannot tell apart")
    tried = [_fit(features, labels, folds, classes, strength) for strength in STRENGTHS]
    return min(tried, key=lambda found: negative_log_likelihood(softmax(found.logits / found.temperature), labels))


def _fit(features: np.ndarray, labels: np.ndarray, folds: np.ndarray, classes: int, strength: float) -> FittedHeads:
    parts, logits = [], np.empty((len(labels), classes))
    for fold in range(int(folds.max()) + 1):
        learnt, held = folds != fold, folds == fold
        mean, scale = measure_scale(features[learnt].astype(np.float32))
        weights, intercepts = _learn((features[learnt] - mean) / scale, labels[learnt], classes, strength)
        logits[held] = (features[held] - mean) / scale @ weights.T + intercepts
        parts.append((mean, scale, weights, intercepts))
    mean, deviation, weights, intercepts = (np.stack(each) for each in zip(*parts, strict=True))
    return FittedHeads(mean, deviation, weights, intercepts, fit_temperature(logits, labels), strength, logits)


def _learn(values: np.ndarray, labels: np.ndarray, classes: int, strength: float) -> tuple[np.ndarray, np.ndarray]:
    """Weights float32 [K, d] and intercepts float32 [K]."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    regression = LogisticRegression(C=strength / values.shape[1], max_iter=ROUNDS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # stopping early regularises too
        regression.fit(values, labels)
    weights, intercepts = read_weights(regression, classes)
    return weights, np.maximum(intercepts, np.float32(NEVER))
