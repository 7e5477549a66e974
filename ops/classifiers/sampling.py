"""In which order a classifier sees its images: passes over the set in proportion to weights.

AdaInf's reweighting is replication: real images N times, generated ones once, shuffled (Wang et al.
2024, §3.1). `weighted_pass` is that rule for any weights: whole parts are copies, fractions are drawn.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np


def weighted_pass(weights: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One shuffled pass: index i occurs floor(w_i) times, once more with probability frac(w_i).

    Parameters
    ----------
    weights : float [n], at least 0, not all 0.

    Returns
    -------
    int64 indices; their expected number is the sum of the weights.
    """
    whole = np.floor(weights)
    copies = whole.astype(np.int64) + (rng.random(len(weights)) < weights - whole)
    return rng.permutation(np.repeat(np.arange(len(weights)), copies))


def iterate_batches(weights: np.ndarray, batch_size: int, steps: int, seed: int) -> Iterator[np.ndarray]:
    """Exactly `steps` batches of exactly `batch_size` indices, passes joined end to end."""
    weights = np.asarray(weights, dtype=np.float64)
    if weights.min() < 0 or weights.sum() < 1:
        raise ValueError("weights must be non-negative and sum to at least 1")
    rng = np.random.default_rng(seed)
    queue = np.empty(0, dtype=np.int64)
    for _ in range(steps):
        while len(queue) < batch_size:
            queue = np.concatenate([queue, weighted_pass(weights, rng)])
        yield queue[:batch_size]
        queue = queue[batch_size:]


def balance_classes(labels: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weights scaled so that every class carries the total weight of the heaviest (random oversampling)."""
    totals = np.bincount(labels, weights=weights)
    return weights * (totals.max() / totals[labels])


def real_share(real_weight: float, n_real: int, n_generated: int) -> float:
    """β = N·n_real / (N·n_real + n_generated), the real share of a batch (AdaInf §3.1)."""
    return real_weight * n_real / (real_weight * n_real + n_generated)
