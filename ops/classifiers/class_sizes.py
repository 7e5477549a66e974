"""What losses and samplers read from the sizes of the classes, float64 [K]."""

from __future__ import annotations

import numpy as np


def are_equal(sizes: np.ndarray) -> bool:
    """Whether all classes are equally large."""
    return bool(np.allclose(sizes, sizes[0]))


def fill_empty(sizes: np.ndarray) -> np.ndarray:
    """The sizes, in which a class without images counts as the smallest of the others: logarithms stay finite."""
    return np.where(sizes > 0, sizes, sizes[sizes > 0].min())


def find_effective_numbers(sizes: np.ndarray, beta: float) -> np.ndarray:
    """E_n = (1 - β^n) / (1 - β): the volume that n random images cover (Cui et al. 2019, eq. 2), 0 <= β < 1.

    It is 1 for β = 0 and tends to n for β -> 1; it never exceeds 1 / (1 - β).

    >>> find_effective_numbers(np.array([1.0, 2.0, 3.0]), 0.5).tolist()
    [1.0, 1.5, 1.75]
    """
    return (1 - beta**sizes) / (1 - beta)


def weigh_effectively(sizes: np.ndarray, beta: float) -> np.ndarray:
    """Weights of the classes in proportion to 1 / E_n, which sum to their number K (Cui et al. 2019, eq. 3)."""
    weights = 1 / find_effective_numbers(fill_empty(sizes), beta)
    return weights * (len(weights) / weights.sum())
