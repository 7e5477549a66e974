"""RandAugment as a maker of variants: operations that nobody learnt, for any image."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cache

import numpy as np
import torch

from ops.classifiers.augmentations.randaugment import RandomOperations
from ops.classifiers.networks.classifier import normalise
from ops.classifiers.variants.transform import UNLIMITED
from ops.datasets.axes import to_nchw, to_nhwc
from ops.datasets.keyed import draw_words
from ops.recipe.arms import RandAugment


class Randomised:
    """A small shift and two random operations of magnitude m = `strength` of 30; images are not mirrored.

    Images are changed one by one, each from a seed of its own, at a few milliseconds an image: kornia draws for a whole
    batch at once, so an image would depend on its neighbours. The global generators of torch and Python stay as they
    are.
    """

    def __init__(self, strength: float, seed: int) -> None:
        self.strength, self.seed = strength, seed

    def apply(self, images: np.ndarray, keys: Sequence[str], ks: np.ndarray) -> np.ndarray:
        words = draw_words(keys, purpose="randaugment", seed=self.seed, ks=ks)[:, 0].tolist()
        change = _find_operations(self.strength, (images.shape[1], images.shape[2]))
        views, changed, before = normalise(torch.from_numpy(to_nchw(images))), [], random.getstate()
        try:
            with torch.random.fork_rng(devices=[]):
                for view, word in zip(views.split(1), words, strict=True):
                    random.seed(word)  # kornia draws its operations with Python's generator
                    torch.manual_seed(word >> 1)
                    changed.append(((change(view) + 1) * 127.5).round_().clamp_(0, 255).to(torch.uint8))
        finally:
            random.setstate(before)
        return to_nhwc(torch.cat(changed).numpy())

    def count(self, keys: Sequence[str]) -> np.ndarray:
        return np.full(len(keys), UNLIMITED)


@cache
def _find_operations(strength: float, side: tuple[int, int]) -> RandomOperations:
    return RandomOperations(RandAugment(strength=strength, flip=0.0), side)
