"""mixup (Zhang et al. 2018): a batch blended with a permutation of itself."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from ops.classifiers.blending import mixup
from ops.classifiers.pairings.batch import BatchPairing


class MixedPairs(BatchPairing):
    """Blends of whole images."""

    def blend(self, images: Tensor, targets: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        return mixup(images, targets, rng, alpha=self.settings.alpha, per=self.settings.per)
