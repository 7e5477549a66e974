"""Whitening: a change of coordinates in which features have unit covariance. It knows nothing of what they describe."""

from __future__ import annotations

import numpy as np

TINY = 1e-6  # a smaller spread counts as none


def whiten(covariance: np.ndarray) -> np.ndarray:
    """[d, d]: differences [n, d] times this have unit covariance."""
    values, vectors = np.linalg.eigh(covariance)
    # Features that never vary, such as a dead unit's, are left out.
    least = max(values[-1], 0.0) * 1e-6
    scales = np.where(values > least, 1 / np.sqrt(np.maximum(values, max(least, 1e-30))), 0.0)
    whitening: np.ndarray = vectors * scales
    return whitening


def fit_whitening(features: np.ndarray, tolerance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centre [d] and whitening [d, d] of features float64 [n, d] that have different units.

    They are standardised before their covariance is shrunk. tolerance: float64 [d], a difference in each feature that
    means nothing. It is added to the spread (as squares), so that a feature that hardly varies does not count for
    everything. A feature with neither spread nor tolerance is left out.
    """
    centre, spread = features.mean(axis=0), np.hypot(features.std(axis=0), tolerance)
    scale = np.divide(1, spread, out=np.zeros_like(spread), where=spread > TINY)
    covariance = shrink_covariance((features - centre) * scale) + np.diag((tolerance * scale) ** 2)
    return centre, scale[:, None] * whiten(covariance)


def shrink_covariance(centred: np.ndarray) -> np.ndarray:
    """The covariance [d, d] of rows [n, d] of mean 0, shrunk towards a multiple of the identity by the best share.

    Ledoit and Wolf 2004, "A well-conditioned estimator for large-dimensional covariance matrices", lemma 3.1 to 3.5.
    """
    count, size = centred.shape
    sample = centred.T @ centred / count
    level = np.trace(sample) / size
    spread = np.square(sample - level * np.eye(size)).sum() / size
    # mean ||x x' - S||^2 = mean |x|^4 - ||S||^2.
    error = (np.square(np.square(centred).sum(axis=1)).mean() - np.square(sample).sum()) / (count * size)
    share = min(1.0, error / spread) if spread > 0 else 1.0
    return (1 - share) * sample + share * level * np.eye(size)
