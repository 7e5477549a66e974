"""Fresh draws of the nuisance itself: what a perfect generator of variants would make."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ops.classifiers.variants.transform import UNLIMITED


class Oracle:
    """A nuisance drawn anew on the image from before it, never the draw that the training image has."""

    def __init__(self, nuisance: str, clean: np.ndarray, keys: Sequence[str], seed: int) -> None:
        """nuisance: of `data.nuisance`. clean: uint8 [n, H, W, C], from before it. keys: of the images with it [n]."""
        self.nuisance, self.clean, self.seed = nuisance, clean, seed
        self.rows = {key: row for row, key in enumerate(keys)}

    def apply(self, images: np.ndarray, keys: Sequence[str], ks: np.ndarray) -> np.ndarray:
        """As `Transform`; of the images only the keys count."""
        from ops.datasets.nuisances import FRESH, NUISANCES  # imports scipy, which takes a tenth of a second

        before = self.clean[[self.rows[key] for key in keys]]
        changed, _ = NUISANCES[self.nuisance](before, keys, seed=self.seed, ks=ks + FRESH)
        return changed

    def count(self, keys: Sequence[str]) -> np.ndarray:
        return np.where([key in self.rows for key in keys], UNLIMITED, 0)
