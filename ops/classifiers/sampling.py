"""The order in which a classifier sees its images: passes over the set in proportion to weights.

AdaInf's reweighting is replication: real images N times, generated ones once, shuffled (Wang et al.
2024, §3.1). `weighted_pass` extends that rule to any weights: whole parts are copies, fractions are drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

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


def iterate_batches(
    weights: Callable[[int], np.ndarray], batch_size: int, steps: int, seed: int | Sequence[int]
) -> Iterator[np.ndarray]:
    """Exactly `steps` batches of exactly `batch_size` indices, passes joined end to end.

    `weights` returns float [n] for a step; if they change, the current pass is dropped. Weights that sum to less than
    1, such as those of a few real images that count little beside generated ones, are scaled to 1: one image a pass.
    ValueError for weights that are negative or all 0.
    """
    rng = np.random.default_rng(seed)
    current = np.empty(0)
    queue = np.empty(0, dtype=np.int64)
    for step in range(steps):
        if not np.array_equal(found := np.asarray(weights(step), dtype=np.float64), current):
            if found.min() < 0 or found.sum() == 0:
                raise ValueError("weights must be non-negative, and some above 0")
            current, queue = found, queue[:0]
        while len(queue) < batch_size:
            queue = np.concatenate([queue, weighted_pass(current / min(1.0, current.sum()), rng)])
        yield queue[:batch_size]
        queue = queue[batch_size:]


def real_share(real_weight: float, n_real: int, n_generated: int) -> float:
    """β = N·n_real / (N·n_real + n_generated), the real share of a batch (AdaInf §3.1)."""
    return real_weight * n_real / (real_weight * n_real + n_generated)


def find_weight(beta: float, n_real: int, n_generated: float) -> float:
    """N, the weight of a real image with which their share is β, in 0..1 without both ends; inverse of `real_share`.

    n_generated : generated images, or what they weigh together.
    """
    return beta * n_generated / ((1 - beta) * n_real)
