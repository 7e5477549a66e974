"""Which training images stand for a part of the labels: nested parts, the same share of every class.

Images that belong together (equal pictures, groups such as patients) come together where the share allows it: who
labels less sees fewer groups, not fewer images of each. It knows no pixels.
"""

from __future__ import annotations

import numpy as np

from ops.verdict.estimate import IntArray


def order_images(units: IntArray, seed: int) -> IntArray:
    """The rows int64 [n] in a drawn order in which the images of a unit, int [n], follow each other."""
    rng = np.random.default_rng(seed)
    found, members = np.unique(units, return_inverse=True)
    turns = rng.permutation(len(found))[members]
    return np.lexsort((rng.permutation(len(units)), turns))


def count_part(images: int, share: float) -> int:
    """How many images of a class of so many a share of the labels is: rounded, and at least one."""
    return max(1, round(share * images))


def take_part(labels: IntArray, order: IntArray, share: float) -> IntArray:
    """Rows, rising, of the first images of each class in `order` [n]: as many as `count_part` says.

    A larger share contains every smaller one.
    """
    chosen = []
    for label in np.unique(labels):
        own = order[labels[order] == label]
        chosen.append(own[: count_part(len(own), share)])
    return np.sort(np.concatenate(chosen))
