"""An orthogonal array, and what it says: how much each level of each factor is worth, from few trainings.

Taguchi's L18 holds one factor of two levels and seven of three in 18 runs; in every pair of columns all pairs of levels
occur equally often. So the mean over the runs with a level is free of the other factors' effects, and each of a
factor's levels is seen in 6 or 9 runs (Montgomery, "Design and Analysis of Experiments", 8th ed., ch. 12; Plackett and
Burman 1946). Interactions are not told apart from noise: what it proposes has to be confirmed.
"""

from __future__ import annotations

import numpy as np

L18 = np.array(
    [
        [0, 0, 0, 0, 0, 0, 0, 0], [0, 0, 1, 1, 1, 1, 1, 1], [0, 0, 2, 2, 2, 2, 2, 2],
        [0, 1, 0, 0, 1, 1, 2, 2], [0, 1, 1, 1, 2, 2, 0, 0], [0, 1, 2, 2, 0, 0, 1, 1],
        [0, 2, 0, 1, 0, 2, 1, 2], [0, 2, 1, 2, 1, 0, 2, 0], [0, 2, 2, 0, 2, 1, 0, 1],
        [1, 0, 0, 2, 2, 1, 1, 0], [1, 0, 1, 0, 0, 2, 2, 1], [1, 0, 2, 1, 1, 0, 0, 2],
        [1, 1, 0, 1, 2, 0, 2, 1], [1, 1, 1, 2, 0, 1, 0, 2], [1, 1, 2, 0, 1, 2, 1, 0],
        [1, 2, 0, 2, 1, 2, 0, 1], [1, 2, 1, 0, 2, 0, 1, 2], [1, 2, 2, 1, 0, 1, 2, 0],
    ]
)  # fmt: skip


def lay_out(levels: list[int]) -> np.ndarray:
    """Runs int64 [18, F] for factors of so many levels each; the first has 2, the others 2 or 3, 8 at most.

    A factor of 2 levels in a column of 3 shows its last level twice as often, which keeps the columns orthogonal
    (Taguchi's dummy level). ValueError for other numbers.
    """
    if not levels or levels[0] != 2 or any(count not in (2, 3) for count in levels) or len(levels) > L18.shape[1]:
        raise ValueError(f"the design has one factor of 2 levels and up to seven of 2 or 3, not {levels}")
    return np.minimum(L18[:, : len(levels)], np.array(levels) - 1)


def average_levels(runs: np.ndarray, scores: np.ndarray) -> list[np.ndarray]:
    """Mean score of each factor's levels, a float64 array a factor, from runs int [R, F] and scores float [R].

    >>> runs = lay_out([2, 3])
    >>> scores = 0.5 + 0.1 * runs[:, 0] - 0.05 * (runs[:, 1] == 2)
    >>> [(means - means[0]).round(3).tolist() for means in average_levels(runs, scores)]
    [[0.0, 0.1], [0.0, 0.0, -0.05]]
    """
    return [np.array([scores[column == level].mean() for level in range(column.max() + 1)]) for column in runs.T]
