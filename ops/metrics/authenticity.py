"""Authenticity: how many generated images are no copies of training images (Alaa et al. 2022, section 4).

A generated point is a copy if it lies nearer to its nearest training point than that point's own nearest training
neighbour does. In terms of the relative distance of `ops.filters` (distance to the nearest training image over that
image's spacing) it is the share above 1, here among features, there among pixels and with a limit that only close
copies fall below. A perfect generator does not score 1 but between a half and three quarters, for its images are as
often the nearest ones as any. So it takes the score of held-out real images beside it to say anything. It knows
nothing of images or networks.
"""

from __future__ import annotations

import numpy as np
import torch

from ops.metrics.distances import Comparison, Pairs, to_points


def find_authentic(generated: np.ndarray, train: np.ndarray) -> np.ndarray:
    """bool [q]: which of the generated features [q, d] are no copies of training features [m, d].

    Ties: as far as the training point's neighbour is a copy (as in the authors' code, which wants authentic ones
    farther), so a copy of a training image that is there twice is one. Of several training points that are equally
    near, the one with the widest spacing counts, so that the order of the rows does not matter. ValueError for fewer
    than 2 training features or features of different sizes.
    """
    queries, references = to_points(generated), to_points(train)
    if len(references) < 2 or queries.shape[1] != references.shape[1]:
        raise ValueError(
            f"features have shapes {list(queries.shape)} and, for training, {list(references.shape)};"
            " allowed: the same size and at least 2 training features"
        )
    pairs = [_keep_nearest(found) for found in Comparison(queries, references).find_nearest(1)]
    rows, columns, squared = (np.concatenate(part) for part in zip(*pairs, strict=True))
    # Only training points that are nearest to something need their spacing.
    near, place = np.unique(columns, return_inverse=True)
    found = Comparison(references[torch.from_numpy(near)], references).find_nearest(1, own=near)
    spacings = np.concatenate([pair.squared[pair.firsts] for pair in found])
    widest, nearest = np.zeros((2, len(queries)))
    np.maximum.at(widest, rows, spacings[place])
    nearest[rows] = squared
    return nearest > widest


def _keep_nearest(pairs: Pairs) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, columns and squared distances of each query's nearest training points, several where they tie."""
    tied = pairs.squared == pairs.squared[pairs.firsts][pairs.rows - pairs.start]
    return pairs.rows[tied], pairs.columns[tied], pairs.squared[tied]
