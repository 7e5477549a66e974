"""Symmetric label noise: each label changes to another class with a fixed probability that ignores the image.

"Symmetric" as in van Rooyen, Menon & Williamson, "Learning with Symmetric Label Noise" (NeurIPS 2015), in the
form that never draws the true class: the rate is the expected share of wrong labels. Papers that may also draw
the true class at a rate of r have a rate of r · (C - 1) / C here, for C classes.

It does not know splits; the caller keeps the labels of validation and test as they are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ops.datasets.keyed import draw_words, to_fractions, to_integers
from ops.errors import UserError


def flip_labels(
    labels: np.ndarray, keys: Sequence[str], *, rate: float, classes: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """The new labels, int64 [n], and a mask of the changed ones, bool [n].

    labels: int64 [n] in 0 .. classes - 1. keys: content ids, so equal images change alike. A label changes with
    probability `rate` to one of the other classes, all equally likely. A label that changes at one rate changes in
    the same way at every higher rate. UserError for a rate outside 0 .. 1 and for fewer than two classes; ValueError
    if labels and keys differ in number or a label is outside the classes.
    """
    if not 0 <= rate <= 1:
        raise UserError(f"the rate of label noise is {rate}; allowed: 0 to 1")
    if classes < 2:
        raise UserError(f"label noise needs at least 2 classes; there are {classes}")
    if len(labels) != len(keys):
        raise ValueError(f"there are {len(labels)} labels and {len(keys)} keys")
    if len(labels) and not 0 <= labels.min() <= labels.max() < classes:
        raise ValueError(f"labels lie in {labels.min()} to {labels.max()}; allowed: 0 to {classes - 1}")
    words = draw_words(keys, purpose="label noise", seed=seed, words=2)
    flipped = to_fractions(words[:, 0]) < rate
    others = (labels + 1 + to_integers(words[:, 1], classes - 1)) % classes
    return np.where(flipped, others, labels).astype(np.int64), flipped
