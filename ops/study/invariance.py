"""Evaluation images without their nuisance, and draws of it on each, to measure how invariant a network is.

All arms, networks and seeds of a study are asked about the same images and the same draws. No image of the chain has
such a draw, because its number begins where theirs never come to. Networks answer in float32 whatever the precision of
the classifier: rounding to bf16 would look like a lack of invariance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

import numpy as np
import torch
from torch import Tensor, nn

from ops.classifiers.answering import ask_each
from ops.datasets.axes import to_nchw
from ops.datasets.nuisances import FRESH, NUISANCES
from ops.metrics.invariance import Invariance, measure_invariance
from ops.study.attacks import choose_rows

IMAGES = 100  # of each class, at most
DRAWS = 10  # of the nuisance on each image
SEED = 0  # of the draws, whatever the seed of the block


@dataclass(frozen=True, eq=False)
class Nuisanced:
    """Some images, and draws of the nuisance on each.

    clean: uint8 [n, C, H, W]. drawn: uint8 [n, d, C, H, W]. labels: int64 [n]. All are on the CPU.
    """

    clean: Tensor
    drawn: Tensor
    labels: np.ndarray

    def measure(self, networks: Sequence[nn.Module], device: str) -> Invariance:
        """Of networks that answer together, by the mean of their probabilities; they are in evaluation mode."""
        drawn = self._ask(networks, self.drawn.flatten(0, 1), device)
        return measure_invariance(
            self._ask(networks, self.clean, device), drawn.reshape(*self.drawn.shape[:2], -1), self.labels
        )

    @staticmethod
    def _ask(networks: Sequence[nn.Module], images: Tensor, device: str) -> np.ndarray:
        """Logarithms of the mean probabilities, float64 [n, K]."""
        each = ask_each(networks, images, precision="fp32", device=device)
        mixed = each.log_softmax(dim=2).logsumexp(dim=0) - log(len(networks))
        return np.asarray(mixed.numpy())


def choose_images(labels: np.ndarray) -> np.ndarray:
    """The rows of at most IMAGES images of each class, int64. Classes are equally large, as a study's are."""
    return choose_rows(labels, IMAGES * len(np.unique(labels)))


def draw_nuisance(kind: str, images: np.ndarray, keys: Sequence[str], labels: np.ndarray) -> Nuisanced:
    """DRAWS draws of a nuisance, by its name in a recipe, on images without it: uint8 [n, H, W, C].

    keys: content id of each image, which decides its draws. labels: int64 [n].
    """
    drawn = [NUISANCES[kind](images, keys, seed=SEED, ks=np.full(len(keys), FRESH + draw))[0] for draw in range(DRAWS)]
    clean, flat = torch.from_numpy(to_nchw(images)), torch.from_numpy(to_nchw(np.concatenate(drawn)))
    by_draw = flat.reshape(DRAWS, len(images), *clean.shape[1:])
    return Nuisanced(clean, by_draw.transpose(0, 1).contiguous(), labels)
