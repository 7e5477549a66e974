"""CutMix (Yun et al. 2019): a box of each image is replaced by that of another image of the batch."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from ops.classifiers.blending import cutmix
from ops.classifiers.pairings.batch import BatchPairing
from ops.recipe.ingredients.pairings import CutMix


class PastedPairs(BatchPairing):
    """Pasted boxes."""

    settings: CutMix

    def blend(self, images: Tensor, targets: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        settings = self.settings
        return cutmix(images, targets, rng, alpha=settings.alpha, per=settings.per, probability=settings.probability)
