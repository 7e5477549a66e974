"""Symmetric label noise: each label becomes another class with a fixed probability, whatever the image shows.

"Symmetric" as in van Rooyen, Menon & Williamson, "Learning with Symmetric Label Noise" (NeurIPS 2015), in the
form that never draws the true class: the rate is the expected share of wrong labels. A rate of r that may draw
the true class too is r · (C - 1) / C here.

It knows nothing of splits; that validation and test keep their labels is the caller's business.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ops.datasets.keyed import draw_words, to_fractions, to_integers
from ops.errors import UserError


def flip_labels(
    labels: np.ndarray, keys: Sequence[str], *, rate: float, classes: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """New labels, int64 [n], and which of them differ, bool [n].

    labels: int64 [n] in 0 .. classes - 1. keys: content ids, so equal images share their fate. A label changes
    with probability `rate` to one of the other classes, all equally likely. What changes at a rate changes in
    the same way at every higher one. UserError for a rate outside of 0 .. 1 and where there is no other class;
    ValueError where labels and keys do not match or a label is no class.
    """
    if not 0 <= rate <= 1:
        raise UserError(f"the rate of label noise is {rate}; allowed: 0 to 1")
    if classes < 2:
        raise UserError(f"label noise needs another class to go to; there are {classes} classes, at least 2 are needed")
    if len(labels) != len(keys):
        raise ValueError(f"there are {len(labels)} labels and {len(keys)} keys")
    if len(labels) and not 0 <= labels.min() <= labels.max() < classes:
        raise ValueError(f"labels lie in {labels.min()} to {labels.max()}; allowed: 0 to {classes - 1}")
    words = draw_words(keys, purpose="label noise", seed=seed, words=2)
    flipped = to_fractions(words[:, 0]) < rate
    others = (labels + 1 + to_integers(words[:, 1], classes - 1)) % classes
    return np.where(flipped, others, labels).astype(np.int64), flipped
