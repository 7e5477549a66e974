"""Long-tailed and small subsets: the size of each class, and the images that it keeps.

The laws of the class sizes are those of the papers; rank 1 is the largest class. Hashes of the seed decide the rank
of each class and the order of its images. A larger size therefore contains every smaller one, and neither file order
nor the other classes matter.

It knows neither pixels nor splits: it takes labels and keys, and returns row numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

from ops.datasets.identity import number_uses
from ops.datasets.keyed import draw_words
from ops.errors import UserError

ClassOrder = Literal["label", "random", "available"]


def zipf_sizes(classes: int = 49, exponent: float = 2.0, head: int = 4828, floor: int = 5) -> np.ndarray:
    """max(floor(head / rank^exponent), floor) for ranks 1 .. classes: int64 [classes], falling.

    The defaults are Kuzushiji-49-LT of Zhou et al. (ICLR 2022): 7,864 images; their released code has head 4800
    and 7,822 images. UserError for fewer than two classes, a negative exponent, a floor outside 1 .. head.
    """
    _require_classes(classes)
    if not (exponent >= 0 and math.isfinite(exponent)):
        raise UserError(f"the exponent of the class sizes is {exponent}; allowed: 0 or more")
    if not 1 <= floor <= head:
        raise UserError(f"the smallest class size is {floor}; allowed: 1 to the largest, {head}")
    ranks = np.arange(1, classes + 1, dtype=np.float64)
    return np.maximum(_floor(head / ranks**exponent), floor)


def exponential_sizes(classes: int, head: int, ratio: float) -> np.ndarray:
    """floor(head · ratio^(-i / (classes - 1))) for i = 0 .. classes - 1: int64 [classes], falling.

    The law of CIFAR-LT, Cui et al., "Class-Balanced Loss" (CVPR 2019), as in Cao et al. (LDAM, 2019): 12,406
    images for (10, 5000, 100), 10,847 for (100, 500, 100). UserError for fewer than two classes, a ratio below
    1 or not finite, and a smallest class that would be empty.

    >>> exponential_sizes(10, 5000, 100).tolist()
    [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50]
    """
    _require_classes(classes)
    _require_ratio(head, ratio)
    return _floor(head * float(ratio) ** (-np.arange(classes) / (classes - 1)))


def step_sizes(classes: int, head: int, ratio: float, minority_fraction: float = 0.5) -> np.ndarray:
    """`head` images in each majority class, floor(head / ratio) in each minority class: int64 [classes], falling.

    Step imbalance of Buda, Maki & Mazurowski (Neural Networks 2018). minority_fraction: share of minority classes;
    their number is rounded half down (24 of 49 at 0.5). UserError for fewer than two classes, a ratio below 1 or not
    finite, a share outside 0 .. 1, and a minority class that would be empty.
    """
    _require_classes(classes)
    _require_ratio(head, ratio)
    if not 0 <= minority_fraction <= 1:
        raise UserError(f"the share of minority classes is {minority_fraction}; allowed: 0 to 1")
    minority = math.ceil(classes * minority_fraction - 0.5)
    return np.repeat(np.array([head, math.floor(head / ratio + _SLACK)], np.int64), [classes - minority, minority])


def order_classes(labels: np.ndarray, classes: int, *, class_order: ClassOrder, seed: int) -> np.ndarray:
    """The label of each rank, largest class first: int64 [classes].

    label: 0, 1, 2, ... random: a permutation drawn with the seed, which is the "version" of the GIT paper (it has
    30). available: most images first, ties by label. The seed has no effect on `label` and `available`. UserError
    for another order.
    """
    if class_order == "label":
        return np.arange(classes)
    if class_order == "random":
        words = draw_words([str(label) for label in range(classes)], purpose="class order", seed=seed)
        return np.argsort(words[:, 0], kind="stable")
    if class_order == "available":
        return np.argsort(-np.bincount(labels, minlength=classes), kind="stable")
    raise UserError(f"class order {class_order} is unknown; allowed: label, random, available")


def choose_long_tail(
    labels: np.ndarray,
    keys: Sequence[str],
    sizes: np.ndarray,
    *,
    class_order: ClassOrder,
    seed: int,
    allow_repeats: bool,
    class_names: Sequence[str] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Row numbers, int64 [sum of sizes], and for each the use number k of its key, int64 of the same length.

    labels: int64 [n]. keys: content ids. sizes: int64 [classes] by rank, as above. The rows are sorted by label, and
    within a class by hash. With `allow_repeats`, which only makes sense if a nuisance follows, row number i of a class
    is its image i modulo the images available. k counts the uses of one key in a class from 0, so that equal images
    of a class never get the same draw. class_names: for errors.

    UserError for a class without images, and for a class with fewer images than its size without `allow_repeats`.
    ValueError if labels, keys and sizes do not match."""
    _require_labels(labels, keys, len(sizes))
    wanted = np.empty(len(sizes), np.int64)
    wanted[order_classes(labels, len(sizes), class_order=class_order, seed=seed)] = sizes
    rows: list[np.ndarray] = []
    ks: list[np.ndarray] = []
    for label, (members, size) in enumerate(zip(_rank_members(labels, keys, len(sizes), seed), wanted, strict=True)):
        if size > len(members) and not (allow_repeats and len(members)):
            name = class_names[label] if class_names is not None else label
            remedy = "smaller sizes, another class order" + (", or a nuisance" if len(members) else "")
            raise UserError(f"class {name} has {len(members)} images but its size is to be {size}; allowed: {remedy}")
        rows.append(np.resize(members, size))
        ks.append(number_uses([keys[row] for row in rows[-1].tolist()]))
    return np.concatenate(rows), np.concatenate(ks)


_SLACK = 1e-9  # 500 · 100^-1 must give 5, although the power is rounded


def _floor(sizes: np.ndarray) -> np.ndarray:
    return np.floor(sizes + _SLACK).astype(np.int64)


def _require_classes(classes: int) -> None:
    if classes < 2:
        raise UserError(f"a long tail needs at least 2 classes; there are {classes}")


def _require_ratio(head: int, ratio: float) -> None:
    if not (ratio >= 1 and math.isfinite(ratio)):
        raise UserError(f"the ratio of the largest to the smallest class is {ratio}; allowed: 1 or more")
    if head / ratio + _SLACK < 1:
        raise UserError(f"the smallest class would be empty: {head} / {ratio} is below 1; allowed: ratios up to {head}")


def _require_labels(labels: np.ndarray, keys: Sequence[str], classes: int) -> None:
    if len(labels) != len(keys):
        raise ValueError(f"there are {len(labels)} labels and {len(keys)} keys")
    if len(labels) and not 0 <= labels.min() <= labels.max() < classes:
        raise ValueError(f"labels lie in {labels.min()} to {labels.max()}; allowed: 0 to {classes - 1}")


def _rank_members(labels: np.ndarray, keys: Sequence[str], classes: int, seed: int) -> list[np.ndarray]:
    """The rows of each class in the order of their hashes; equal keys, so equal images, keep their stored order."""
    words = draw_words(keys, purpose="subset", seed=seed)[:, 0]
    order = np.lexsort((words, labels))
    return np.split(order, np.cumsum(np.bincount(labels, minlength=classes))[:-1])
