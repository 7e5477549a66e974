"""Real images of the classes of generated ones."""

from __future__ import annotations

import numpy as np


def draw_parents(
    labels: np.ndarray, is_generated: np.ndarray, rng: np.random.Generator, is_seed: np.ndarray | None = None
) -> np.ndarray:
    """For each generated image, in order, the row of a real one of its class, int64 [m]; all are used equally often.

    For one without a label it is any real image, labelled or not.

    labels : int64 [n]; negative: none. is_generated : bool [n]. is_seed : bool [n], the real images that may be drawn;
        None: all.
    ValueError for a class that has generated images and no such real one.
    """
    drawable = ~is_generated if is_seed is None else ~is_generated & is_seed
    wanted = labels[is_generated]
    parents = np.empty(len(wanted), dtype=np.int64)
    for label in np.unique(wanted):
        own = np.flatnonzero(drawable if label < 0 else drawable & (labels == label))
        if len(own) == 0:
            raise ValueError(f"class {label} has generated images, but no real one could take their place")
        places = np.flatnonzero(wanted == label)
        repeats = -(-len(places) // len(own))
        parents[places] = np.concatenate([rng.permutation(own) for _ in range(repeats)])[: len(places)]
    return parents
