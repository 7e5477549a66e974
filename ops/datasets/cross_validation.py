"""All images of three splits, divided into folds: each image is a test image once.

Groups stay together, and so do equal images and those that are said to be. A fold's validation images are drawn from
its other images, in the share of validation among all images. The module knows neither files nor pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from ops.datasets.units import list_keys
from ops.errors import UserError

MOST_VALIDATION = 0.5  # of the images that a fold does not test


@dataclass(frozen=True, eq=False)
class Pool:
    """The images of train, validation and test, in this order. labels: int64 [n]. keys: content ids, equal for equal
    images. groups: None if the source has none. validation: the share of validation among all images."""

    labels: np.ndarray
    keys: Sequence[str]
    groups: Sequence[str] | None
    class_names: Sequence[str]
    validation: float

    @property
    def held(self) -> int:
        """Validation images, copies among them; with folds, `count_fold_validation` counts those of each."""
        return round(self.validation * len(self.labels))


def pool_splits(splits: Mapping[str, pl.DataFrame], units: Mapping[str, int], class_names: Sequence[str]) -> Pool:
    """The pool of the rows of each split (`image_id`, `label`, `parent_id`).

    units: the unit of each key, as `ops.datasets.units.link_groups` gives them; empty if the source has no groups.
    """
    rows = pl.concat(part.select("image_id", "label", "parent_id") for part in splits.values())
    keys = list_keys(rows)
    groups = [f"group {units[key]}" if key in units else key for key in keys] if units else None
    return Pool(rows["label"].to_numpy(), keys, groups, class_names, len(splits["validation"]) / len(rows))


def find_units(pool: Pool) -> np.ndarray:
    """The unit int64 [n] of each image, as `ops.datasets.units.read_units` finds it."""
    names = np.asarray(pool.keys if pool.groups is None else pool.groups, dtype=str)
    return np.unique(names, return_inverse=True)[1].astype(np.int64)


def join_images(pool: Pool, together: Sequence[Sequence[int]]) -> Pool:
    """The same pool, in which the images at the places of each group count as equal, and so stay together."""
    names = {key: key for key in pool.keys}
    for places in together:
        joined = {names[pool.keys[place]] for place in places}
        names = {key: min(joined) if name in joined else name for key, name in names.items()}
    return replace(pool, keys=[names[key] for key in pool.keys])


def divide(pool: Pool, folds: int) -> list[np.ndarray]:
    """The split of each image in each fold: int8 [n] of TRAIN, VALIDATION and TEST (`ops.datasets.splits`).

    It depends on the images and the number of folds alone. UserError for a class with too few images or groups.
    """
    from ops.datasets.splits import assign_test_folds  # imports scipy, which takes a tenth of a second

    try:
        members = assign_test_folds(
            pool.labels, pool.keys, folds=folds, groups=pool.groups, class_names=pool.class_names
        )
        return [_split(pool, members == fold, folds, seed=fold) for fold in range(folds)]
    except UserError as error:
        raise UserError(f"verdict.folds {folds}: {error}") from None


def list_training(codes: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The training images of each fold, as rows of the pool, int64 [m]; codes: as `divide` returns them."""
    from ops.datasets.splits import TRAIN

    return [np.flatnonzero(code == TRAIN) for code in codes]


def count_fold_validation(codes: Sequence[np.ndarray]) -> list[int]:
    """Validation images in each fold; codes: as `divide` returns them."""
    from ops.datasets.splits import VALIDATION

    return [int((code == VALIDATION).sum()) for code in codes]


def _split(pool: Pool, is_test: np.ndarray, folds: int, *, seed: int) -> np.ndarray:
    from ops.datasets.splits import TEST, assign_splits

    rest = np.flatnonzero(~is_test)
    codes = np.full(len(is_test), TEST, np.int8)
    codes[rest] = assign_splits(
        pool.labels[rest],
        [pool.keys[place] for place in rest.tolist()],
        validation=min(round(pool.validation * folds / (folds - 1), 4), MOST_VALIDATION),
        test=0.0,
        seed=seed,  # so that folds do not choose on the same images
        groups=None if pool.groups is None else [pool.groups[place] for place in rest.tolist()],
        class_names=pool.class_names,
    )
    return codes
