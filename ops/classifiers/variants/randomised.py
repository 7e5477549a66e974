"""RandAugment as a maker of variants: operations that nobody learnt, for any image."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from ops.classifiers.augmentations.randaugment import RandomOperations
from ops.classifiers.networks.classifier import normalise
from ops.classifiers.variants.transform import UNLIMITED
from ops.datasets.axes import to_nchw, to_nhwc
from ops.datasets.keyed import draw_words
from ops.recipe.arms import RandAugment


class Randomised:
    """A small shift and n = `operations` of magnitude m = `strength` of 30; images are not mirrored.

    Images are changed one by one, each from a seed of its own, so that none depends on its neighbours. The global
    generator of torch stays as it is.
    """

    def __init__(self, strength: float, operations: int, seed: int) -> None:
        self.strength, self.operations, self.seed = strength, operations, seed

    def apply(self, images: np.ndarray, keys: Sequence[str], ks: np.ndarray) -> np.ndarray:
        words = draw_words(keys, purpose="randaugment", seed=self.seed, ks=ks)[:, 0].tolist()
        settings = RandAugment(strength=self.strength, operations=self.operations, flip=0.0)
        change = RandomOperations(settings, (images.shape[1], images.shape[2]))
        views, changed = normalise(torch.from_numpy(to_nchw(images))), []
        with torch.random.fork_rng(devices=[]):
            for view, word in zip(views.split(1), words, strict=True):
                torch.manual_seed(word >> 1)
                changed.append(((change(view) + 1) * 127.5).round_().clamp_(0, 255).to(torch.uint8))
        return to_nhwc(torch.cat(changed).numpy())

    def count(self, keys: Sequence[str]) -> np.ndarray:
        return np.full(len(keys), UNLIMITED)
