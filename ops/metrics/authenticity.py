"""Authenticity: the share of generated images that are not copies of training images (Alaa et al. 2022, section 4).

A generated point is a copy if it lies nearer to its nearest training point than that point's own nearest training
neighbour does. Authenticity is thus the share of relative distances above 1 (distance to the nearest training image
over that image's spacing), in features. `ops.likeness.copies` measures relative distances in pixels, and the rules for
near copies use a much lower threshold. A perfect generator scores between a half and three quarters, not 1, because its
images are as likely to be the nearest neighbours as any others. So read it beside the score of held-out real images. It
knows nothing of images or networks.
"""

from __future__ import annotations

import numpy as np
import torch

from ops.metrics.distances import Comparison, Pairs, to_points


def find_authentic(generated: np.ndarray, train: np.ndarray) -> np.ndarray:
    """bool [q]: which of the generated features [q, d] are not copies of training features [m, d].

    Ties: a point exactly as far away as the training point's neighbour is a copy (as in the authors' code), so a copy
    of a duplicated training image counts as one. Among several equally near training points the one with the widest
    spacing counts, so that the order of the rows does not matter. ValueError for fewer than 2 training features or
    features of different sizes.
    """
    queries, references = to_points(generated), to_points(train)
    if len(references) < 2 or queries.shape[1] != references.shape[1]:
        raise ValueError(
            f"features have shapes {list(queries.shape)} and, for training, {list(references.shape)};"
            " allowed: the same size and at least 2 training features"
        )
    pairs = [_keep_nearest(found) for found in Comparison(queries, references).find_nearest(1)]
    rows, columns, squared = (np.concatenate(part) for part in zip(*pairs, strict=True))
    # Only training points that are the nearest of some generated point need a spacing.
    near, place = np.unique(columns, return_inverse=True)
    found = Comparison(references[torch.from_numpy(near)], references).find_nearest(1, own=near)
    spacings = np.concatenate([pair.squared[pair.firsts] for pair in found])
    widest, nearest = np.zeros((2, len(queries)))
    np.maximum.at(widest, rows, spacings[place])
    nearest[rows] = squared
    return nearest > widest


def _keep_nearest(pairs: Pairs) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, columns and squared distances of each query's nearest training points; several where they tie."""
    tied = pairs.squared == pairs.squared[pairs.firsts][pairs.rows - pairs.start]
    return pairs.rows[tied], pairs.columns[tied], pairs.squared[tied]
