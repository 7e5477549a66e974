"""The class shares of one set of images given to another, by leaving rows out or by weights.

Distances between sets depend strongly on these shares, so two sets are compared in the shares of one of them.
"""

from __future__ import annotations

import numpy as np


def match_shares(labels: np.ndarray, like: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Rows of labels [n], sorted int64, in the classes' shares of `like` [m]: `count`, fewer where a class has too few.

    All rows where the shares are alike, to less than one image of `count`. Drawn with `seed`, without repeats.
    """
    own, wanted = _find_shares(labels, like)
    if _are_alike(own, wanted, count):
        return np.arange(len(labels))
    mixed = np.random.default_rng(seed).permutation(len(labels))
    each = np.diff(np.round(np.cumsum(wanted) * count), prepend=0.0).astype(int)  # `count` in all
    return np.sort(np.concatenate([mixed[labels[mixed] == label][:most] for label, most in enumerate(each)]))


def weigh_shares(labels: np.ndarray, like: np.ndarray) -> np.ndarray | None:
    """Weights float64 of labels [n], n > 0, that give them the class shares of `like` [m]; None where these are alike,
    to less than one image, or where the two have no class in common."""
    own, wanted = _find_shares(labels, like)
    if _are_alike(own, wanted, len(labels)) or not (own * wanted).any():
        return None
    return np.asarray((wanted / np.maximum(own, 1 / len(labels)))[labels])


def _find_shares(*sides: np.ndarray) -> tuple[np.ndarray, ...]:
    """Of the classes of each side, float64 [C]; 0 where a side has no image."""
    classes = 1 + max(int(labels.max(initial=0)) for labels in sides)
    return tuple(np.bincount(labels, minlength=classes) / max(len(labels), 1) for labels in sides)


def _are_alike(one: np.ndarray, other: np.ndarray, count: int) -> bool:
    return bool(np.abs(one - other).max() * count < 1)
