"""Variants that were drawn and accepted before the training, and lie in memory."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np


class Stored:
    """The variants of a pool: variant k of an image is its k-th one there, modulo their number."""

    def __init__(self, pool: np.ndarray, parents: Sequence[str]) -> None:
        """pool: uint8 [n, H, W, C], in the order in which the variants of an image count. parents: the key of each."""
        self.pool, self.rows = pool, defaultdict[str, list[int]](list)
        for row, key in enumerate(parents):
            self.rows[key].append(row)

    def apply(self, images: np.ndarray, keys: Sequence[str], ks: np.ndarray) -> np.ndarray:
        """As `Transform`; what the images look like has no effect."""
        if bare := [key for key in keys if key not in self.rows]:
            raise KeyError(f"there is no variant of {bare[0]}")
        own = [self.rows[key] for key in keys]
        return self.pool[[rows[k % len(rows)] for rows, k in zip(own, ks.tolist(), strict=True)]]

    def count(self, keys: Sequence[str]) -> np.ndarray:
        return np.array([len(self.rows.get(key, ())) for key in keys], np.int64)
