"""Which patches are hidden: the same number for all images of a training step, any number for each variant.

In training the encoder gets the visible patches alone, which is what makes it fast. Variants of one call differ in how
many of their patches are hidden, so there the encoder gets all of them, and its attention leaves the hidden ones out.
The tokens of the visible patches are the same either way.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def count_kept(share: float, places: int) -> int:
    """How many of so many patches stay visible when this share is hidden: at least one, and not all.

    It is rounded as in the published code.

    >>> count_kept(0.75, 49), count_kept(0.0, 49), count_kept(0.99, 49)
    (12, 48, 1)
    """
    return max(1, min(places - 1, int(places * (1 - share))))


def draw_kept(rng: np.random.Generator, images: int, places: int, kept: int) -> Tensor:
    """The visible patches of each image, int64 [n, kept] in rising order: each choice is equally likely."""
    chosen = rng.random((images, places)).argsort(axis=1, kind="stable")[:, :kept]
    return torch.from_numpy(np.sort(chosen, axis=1))


def find_hidden(scores: Tensor, share: Tensor) -> Tensor:
    """The patches with the lowest scores [n, L], a share [n] of them rounded down: bool [n, L]."""
    rank = (scores[:, None, :] < scores[:, :, None]).sum(dim=2)
    return rank < (share * scores.shape[1]).floor()[:, None]
