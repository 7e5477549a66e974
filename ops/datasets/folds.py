"""Folds for cross-fitting: every image is judged by a model that was fitted on the images of the other folds.

Units, sets of images that belong together such as equal pictures or a patient's, are kept in one fold: a model that saw
one of a unit's images knows too much about the others.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ops.errors import UserError

LARGE = 1_000  # validation images from which they alone are asked


def assign_folds(labels: np.ndarray, folds: int, seed: int, units: np.ndarray | None = None) -> np.ndarray:
    """As `divide_into_folds`; the same seed gives the same folds."""
    return divide_into_folds(labels, folds, np.random.default_rng([seed, 2]), units)


def require_folds(sizes: Sequence[float], folds: int, key: str) -> None:
    """UserError if `assign_folds` leaves a fold with fewer than two images, for classes of `sizes` images.

    `key` names the number of folds. What is left over of each class goes to the first folds, so the last one has the
    least. Of one image nobody can say what is typical.
    """
    least = sum(size // folds for size in sizes)
    if least >= 2:
        return
    if least:
        raise UserError(f"{key} {folds} leaves a fold with one training image; lower it, or add images")
    largest = max(sizes, default=0)
    remedy = f"lower it to {largest:g} or less" if largest > 1 else "add images"
    raise UserError(f"{key} {folds} is more than the {largest:g} training images of the largest class; {remedy}")


def require_whole_units(labels: np.ndarray, folds: int, seed: int, units: np.ndarray, key: str) -> None:
    """UserError if `assign_folds` leaves a fold with fewer than two images, because images of one unit stay together.

    `key` names the number of folds, which `require_folds` has passed.
    """

    def count_short(number: int) -> int:
        return int((np.bincount(assign_folds(labels, number, seed, units), minlength=number) < 2).sum())

    if len(np.unique(units)) == len(units) or not (short := count_short(folds)):
        return
    fewer = next((number for number in range(folds - 1, 1, -1) if not count_short(number)), None)
    remedy = "add images of other groups" if fewer is None else f"lower it to {fewer}"
    raise UserError(
        f"{key} {folds}: equal training images and those of one group stay in one fold, and that leaves"
        f" {short} of the folds with fewer than two images; {remedy}"
    )


def divide_into_folds(
    labels: np.ndarray, folds: int, rng: np.random.Generator, units: np.ndarray | None = None
) -> np.ndarray:
    """The fold of each image, int64 [n], of labels int [n] and units int [n]; by default each image is its own unit.

    Within each class the folds' sizes differ by at most one, or by as little as whole units allow. A unit that holds
    all images of a class, of two or more, is divided: no model could be fitted on that class without it.
    """
    together = find_shared(labels, units)
    assigned = np.empty(len(labels), dtype=np.int64)
    sizes = _place_units(labels, together, folds, rng, assigned)
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero((labels == label) & (together < 0)))
        assigned[members] = _fill(sizes[:, label], len(members))
    return assigned


def divide_for_choices(
    train: np.ndarray,
    validation: np.ndarray,
    folds: int,
    rng: np.random.Generator,
    units: np.ndarray | None = None,
) -> np.ndarray:
    """The fold of each image, int64 [n + m], of training labels int [n], validation labels int [m], units int [n + m].

    Few validation images say little, so both splits are divided into folds. With LARGE validation images these are the
    only fold, 0, and training images have fold -1: they are only learnt from.
    """
    if len(validation) >= LARGE:
        return np.repeat([-1, 0], [len(train), len(validation)])
    return divide_into_folds(np.concatenate([train, validation]), folds, rng, units)


def find_shared(labels: np.ndarray, units: np.ndarray | None) -> np.ndarray:
    """The unit int64 [n] of each image whose unit is kept whole; -1 for an image that is placed alone."""
    if units is None:
        return np.full(len(labels), -1, dtype=np.int64)
    codes, counts = np.unique(units, return_inverse=True, return_counts=True)[1:]
    whole = counts > 1
    for label in np.unique(labels):
        holders = np.unique(codes[labels == label])
        if len(holders) == 1:
            whole[holders] = False
    return np.where(whole[codes], codes, -1)


def _place_units(
    labels: np.ndarray, together: np.ndarray, folds: int, rng: np.random.Generator, assigned: np.ndarray
) -> np.ndarray:
    """Assign units of several images, large ones first, each where its classes lack most; sizes int64 [folds, K]."""
    classes = int(labels.max(initial=-1)) + 1
    target = np.bincount(labels, minlength=classes) / folds
    sizes = np.zeros((folds, classes), dtype=np.int64)
    places = np.flatnonzero(together >= 0)
    if not len(places):
        return sizes
    places = places[np.argsort(together[places], kind="stable")]
    units = np.split(places, np.flatnonzero(np.diff(together[places])) + 1)
    order = np.lexsort((rng.permutation(len(units)), np.array([-len(members) for members in units])))
    for members in (units[place] for place in order):
        inside = np.bincount(labels[members], minlength=classes)
        # What (sizes - target)² grows by, in units of each class's target, which is above 0 where `inside` is.
        growth = (inside * (inside + 2 * (sizes - target)) / np.maximum(target, 1e-9)).sum(axis=1)
        fold = int(growth.argmin())
        assigned[members] = fold
        sizes[fold] += inside
    return sizes


def _fill(sizes: np.ndarray, count: int) -> np.ndarray:
    """Folds int64 [count] of single images, always the smallest next; `sizes` int64 [folds] are those of their class.

    >>> _fill(np.array([0, 0, 0]), 4)
    array([0, 1, 2, 0])
    >>> _fill(np.array([2, 0, 1]), 4)
    array([1, 1, 2, 0])
    """
    sizes = sizes.copy()
    chosen = np.empty(count, dtype=np.int64)
    for place in range(count):
        chosen[place] = sizes.argmin()
        sizes[chosen[place]] += 1
    return chosen
