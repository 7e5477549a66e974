"""Whether a network is as sure as it is right: the expected calibration error (Guo et al. 2017, eq. 3)."""

from __future__ import annotations

import numpy as np

from ops.verdict.estimate import BoolArray, FloatArray

BINS = 15  # of equal width, as published


def find_calibration_error(confidence: FloatArray, correct: BoolArray) -> float:
    """In 0..1: Σ_b |B_b|/n · |accuracy(B_b) - confidence(B_b)|, the mean over networks.

    confidence: probability of the most probable class, float [S, n] in 0..1. correct: whether it is the label.
    """
    bins = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    errors = []
    for sure, right, place in zip(confidence, correct, bins, strict=True):
        gaps = np.bincount(place, weights=right - sure.astype(np.float64), minlength=BINS)
        errors.append(np.abs(gaps).sum() / len(sure))
    return float(np.mean(errors))
