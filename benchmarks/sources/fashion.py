"""Fashion-MNIST, some of it: as it is, long-tailed, with planted faults, with shuffled labels.

All splits come from the file of training images; that of the test images is not opened.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from benchmarks.parts.fashion import CLASS_NAMES, read_fashion
from benchmarks.sources.drawn import Drawn, Labelled, divide_classes

NAMES = tuple(name.replace("/", " or ") for name in CLASS_NAMES)
COUNTS = {"train": 120, "test": 200}  # of each class; validation is drawn by Growset
WITH_VALIDATION = {"train": 100, "validation": 30, "test": 100}
LARGEST, SMALLEST = 200, 4  # classes of the long tail
WRONG, COPIES, NEAR_COPIES = 80, 50, 50


def read_whole() -> Labelled:
    """All training images, uint8 [n, 28, 28, 1], equal ones once."""
    found = read_fashion()
    return Labelled(found.images.numpy().transpose(0, 2, 3, 1), found.labels)


def draw_fashion(whole: Labelled, counts: Mapping[str, int], seed: int) -> Drawn:
    """So many of each class to each split."""
    return Drawn(NAMES, divide_classes(whole, counts, np.random.default_rng([seed, 5])))


def draw_tail(
    whole: Labelled, seed: int, *, largest: int = LARGEST, smallest: int = SMALLEST, others: int = 20, test: int = 100
) -> Drawn:
    """Training classes from `largest` to `smallest`, each the same share of the last; the other splits even."""
    rng = np.random.default_rng([seed, 6])
    splits = divide_classes(whole, {"train": largest, "validation": others, "test": test}, rng)
    classes = len(NAMES)
    sizes = np.round(largest * (smallest / largest) ** (np.arange(classes) / (classes - 1))).astype(int)
    train = splits["train"]
    kept = [np.flatnonzero(train.labels == label)[:size] for label, size in enumerate(sizes)]
    return Drawn(NAMES, {**splits, "train": train.take(np.concatenate(kept))})


def plant_faults(
    drawn: Drawn, seed: int, *, wrong: int = WRONG, copies: int = COPIES, near_copies: int = NEAR_COPIES
) -> Drawn:
    """The training images with wrong labels, and with copies of others behind them.

    planted: `wrong_label` as [row, true label], `copy` and `near_copy` as [row, row of the original]. A near copy is
    shifted by a pixel and has noise of up to three grey levels. Copied images keep their right label.
    """
    rng = np.random.default_rng([seed, 7])
    train, classes = drawn.splits["train"], len(drawn.class_names)
    order = rng.permutation(len(train))
    if wrong + copies + near_copies > len(order):
        raise ValueError(f"{len(order)} images cannot bear {wrong + copies + near_copies} faults")
    mislabelled, copied, nearly = np.split(order[: wrong + copies + near_copies], [wrong, wrong + copies])
    labels = train.labels.copy()
    labels[mislabelled] = (labels[mislabelled] + rng.integers(1, classes, wrong)) % classes
    moved = np.roll(train.images[nearly], 1, axis=2).astype(int)
    noisy = np.clip(moved + rng.integers(-3, 4, moved.shape), 0, 255).astype(np.uint8)
    images = np.concatenate([train.images, train.images[copied], noisy])
    labels = np.concatenate([labels, train.labels[copied], train.labels[nearly]])
    behind = np.arange(len(train), len(images))
    planted = {
        "wrong_label": [[int(row), int(train.labels[row])] for row in mislabelled],
        "copy": [[int(row), int(source)] for row, source in zip(behind[:copies], copied, strict=True)],
        "near_copy": [[int(row), int(source)] for row, source in zip(behind[copies:], nearly, strict=True)],
    }
    return Drawn(drawn.class_names, {**drawn.splits, "train": Labelled(images, labels)}, planted)


def shuffle_labels(drawn: Drawn, seed: int) -> Drawn:
    """The labels of each split in a random order: nothing can be learnt, classes keep their sizes."""
    rng = np.random.default_rng([seed, 8])
    splits = {split: Labelled(part.images, rng.permutation(part.labels)) for split, part in drawn.splits.items()}
    return Drawn(drawn.class_names, splits, {"shuffled": sorted(splits)})
