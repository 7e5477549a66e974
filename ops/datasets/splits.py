"""Train, validation and test by hash, for sources without splits, or folds; groups, such as patients, are kept whole.

A unit is a set of images that stay together: all images of one key (identical images), or, with groups, all groups
that are linked by identical images. `placement` places units of several images first. Then units of one image are
taken in the order of their hashes until each class has its count, which makes the counts exact.

The module knows neither files nor pixels; the order of the images has no effect.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from scipy import sparse

from ops.datasets.keyed import draw_words, to_fractions
from ops.datasets.placement import place_units
from ops.errors import UserError

TRAIN, VALIDATION, TEST = 0, 1, 2  # the codes; positions in `ops.sources.listing.SPLITS`
_NAMES = ("train", "validation", "test")


def assign_splits(
    labels: np.ndarray,
    keys: Sequence[str],
    *,
    validation: float,
    test: float,
    seed: int,
    groups: Sequence[str] | None = None,
    class_names: Sequence[str] | None = None,
) -> np.ndarray:
    """The split of each image, TRAIN, VALIDATION or TEST: int8 [n], a function of the seed and the set of images.

    labels: int64 [n] from 0. keys: content ids; equal keys are one image. validation, test: shares of each class;
    0 makes no such split. groups: the group of each image; no group is in two splits. class_names: for errors.

    `count_targets` gives the images of a class that each split should have. Without groups and with keys that differ
    the counts are exact; larger units come as near as the search gets. Each split has at least one image of each
    class. UserError for shares that leave no train, for a class with fewer different images (or unrelated groups)
    than splits, and if the search finds no way to share out the groups. ValueError if labels, keys and groups do not
    match.
    """
    _require_shares(validation, test)
    if len(labels) != len(keys) or (groups is not None and len(groups) != len(keys)):
        more = "" if groups is None else f" and {len(groups)} groups"
        raise ValueError(f"there are {len(labels)} labels, {len(keys)} keys{more}")
    if len(labels) and labels.min() < 0:
        raise ValueError(f"a label is {labels.min()}; allowed: 0 and more")
    if len(labels) == 0:
        return np.empty(0, np.int8)
    active = [TRAIN, *([VALIDATION] if validation else []), *([TEST] if test else [])]
    units = _find_units(labels, keys, seed=seed, groups=groups)
    names = [str(label) for label in range(units.classes)] if class_names is None else class_names
    each = f"each of {', '.join(_NAMES[code] for code in active)}"
    _require_units(units, len(active), names, what=_name_units(groups), each=each)
    targets = count_targets(np.bincount(labels), validation=validation, test=test)
    splits = _place(units, targets[active].astype(np.float64), names, [_NAMES[code] for code in active])
    return np.array(active, np.int8)[splits][units.of_image]


def assign_test_folds(
    labels: np.ndarray,
    keys: Sequence[str],
    *,
    folds: int,
    groups: Sequence[str] | None = None,
    class_names: Sequence[str] | None = None,
) -> np.ndarray:
    """The fold of each image, 0 .. folds - 1: int8 [n], a function of the set of images and the number of folds alone.

    labels, keys, groups and class_names as in `assign_splits`; n is at least 1. Every fold gets the same number of
    images of each class, up to one; larger units come as near as the search gets. Each fold has an image of each
    class. UserError for a class with fewer different images (or unrelated groups) than folds, and if the search finds
    no way to share out the groups.
    """
    units = _find_units(labels, keys, seed=0, groups=groups)
    names = [str(label) for label in range(units.classes)] if class_names is None else class_names
    places = [f"fold {number}" for number in range(1, folds + 1)]
    _require_units(units, folds, names, what=_name_units(groups), each="each fold")
    targets, first = np.zeros((folds, units.classes)), 0
    for label, count in enumerate(np.bincount(labels).tolist()):
        targets[:, label] = count // folds
        targets[(first + np.arange(count % folds)) % folds, label] += 1
        first += count % folds  # what is left over goes to another fold for each class
    return _place(units, targets, names, places).astype(np.int8)[units.of_image]


def assign_stable(
    keys: Sequence[str], *, validation: float, test: float, seed: int, groups: Sequence[str] | None = None
) -> np.ndarray:
    """The split of each image by its own hash, or its group's: int8 [n]. It never changes when other images arrive.

    Counts are close to the shares, as for independent draws, and a small class may have no image in a split.
    Identical images in two groups may end up in two splits. UserError for shares that leave no train.
    """
    _require_shares(validation, test)
    place = to_fractions(draw_words(keys if groups is None else groups, purpose="stable split", seed=seed)[:, 0])
    return np.select([place < test, place < test + validation], [TEST, VALIDATION], TRAIN).astype(np.int8)


def count_targets(counts: np.ndarray, *, validation: float, test: float) -> np.ndarray:
    """Images of each class in train, validation and test: int64 [3, classes] for int64 counts [classes].

    Validation and test get their share of the class, computed on the decimal as written and rounded half up, and at
    least 1 if the share is not 0 and the class has images. Train gets the rest. If nothing is left, the larger of the
    two (validation if they are equal) gives up images until train has 1. In a class with fewer images than splits
    one image each goes to train, then test, then validation.
    """
    result = np.zeros((3, len(counts)), np.int64)
    shares = ((VALIDATION, Fraction(repr(float(validation)))), (TEST, Fraction(repr(float(test)))))
    for label, count in enumerate(counts.tolist()):
        sizes = [0, *(max(1, int(share * count + Fraction(1, 2))) if share else 0 for _, share in shares)]
        while count and sum(sizes) > count - 1:
            sizes[VALIDATION if sizes[VALIDATION] >= sizes[TEST] else TEST] -= 1
        result[:, label] = [count - sum(sizes), *sizes[1:]] if count else 0
    return result


@dataclass(frozen=True, eq=False)
class _Units:
    """of_image: the unit of each image, int64 [n]. counts: images per unit and class, CSR [units, classes].
    size: images per unit, int64 [units]. rank: a hash of each unit's content, uint64 [units]."""

    of_image: np.ndarray
    counts: sparse.csr_array
    size: np.ndarray
    rank: np.ndarray

    @property
    def classes(self) -> int:
        return self.counts.shape[1]


def _require_shares(validation: float, test: float) -> None:
    for name, share in (("validation", validation), ("test", test)):
        if not 0 <= share < 1:
            raise UserError(f"the share of {name} is {share}; allowed: 0 or more and less than 1")
    if validation + test >= 1:
        raise UserError(
            f"the shares of validation, {validation}, and test, {test}, leave nothing for train; allowed: less than 1"
            " together"
        )


def _find_units(labels: np.ndarray, keys: Sequence[str], *, seed: int, groups: Sequence[str] | None) -> _Units:
    words = draw_words(keys, purpose="split", seed=seed)[:, 0]
    # A hash stands for its key: if two of a million keys collide (1 in 37 million), they share a split.
    distinct, of_image = np.unique(words, return_inverse=True)
    rank = distinct
    if groups is not None:
        names, of_group = np.unique(draw_words(groups, purpose="group", seed=seed)[:, 0], return_inverse=True)
        total = len(distinct) + len(names)
        links = (np.ones(len(keys), np.bool_), (of_image, len(distinct) + of_group))
        _, component = sparse.csgraph.connected_components(
            sparse.coo_array(links, shape=(total, total)), directed=False
        )
        # Components are numbered by their smallest hash, so the order of the images does not affect them either.
        _, of_image = np.unique(component[of_image], return_inverse=True)
        rank = np.full(of_image.max() + 1, np.iinfo(np.uint64).max)
        np.minimum.at(rank, of_image, words)
    shape = (len(rank), int(labels.max()) + 1)
    counts = sparse.csr_array((np.ones(len(labels), np.int64), (of_image, labels)), shape=shape)
    return _Units(of_image, counts, np.bincount(of_image), rank)


def _name_units(groups: Sequence[str] | None) -> str:
    return "different images" if groups is None else "unrelated groups"


def _require_units(units: _Units, least: int, names: Sequence[str], *, what: str, each: str) -> None:
    found = np.bincount(units.counts.indices, minlength=units.classes)
    for label in np.flatnonzero((found > 0) & (found < least)).tolist():
        raise UserError(f"class {names[label]} has {found[label]} {what}; at least {least} are needed, one for {each}")


def _place(units: _Units, targets: np.ndarray, names: Sequence[str], splits: Sequence[str]) -> np.ndarray:
    """The split of each unit as a row of `targets`, float64 [splits, classes]: int64 [units]."""
    placed = np.zeros(len(units.size), np.int64)
    held = np.zeros(targets.shape)
    single = units.size == 1
    label_of = units.counts.indices[units.counts.indptr[:-1]]  # of a unit of one image
    spare = np.bincount(label_of[single], minlength=units.classes)
    if not single.all():
        large = np.flatnonzero(~single)
        placed[large], held = place_units(units.counts[large], targets, spare=spare, rank=units.rank[large])
    order = np.flatnonzero(single)
    order = order[np.lexsort((units.rank[order], label_of[order]))]
    for label, members in enumerate(np.split(order, np.cumsum(spare)[:-1])):
        shares = _share_out(targets[:, label] - held[:, label], len(members))
        # The last split is filled first: images in test stay there when only the share of validation changes.
        placed[members] = np.repeat(np.arange(len(targets))[::-1], shares[::-1])
        held[:, label] += shares
    if len(empty := np.argwhere((held == 0) & (targets > 0))):
        split, label = empty[0].tolist()
        raise UserError(
            f"the search found no way to keep groups and equal images whole and give {splits[split]} an image of class"
            f" {names[label]}; allowed: more or smaller groups, or fewer splits"
        )
    return placed


def _share_out(lack: np.ndarray, available: int) -> np.ndarray:
    """How many of the available images each split gets, int64: its lack, cut from the largest lack if too few."""
    shares = np.maximum(lack, 0).astype(np.int64)
    while shares.sum() > available:
        shares[shares.argmax()] -= 1
    return shares
