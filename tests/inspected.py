"""What tests of the inspection share: real digits as pictures of a source."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.datasets import load_digits

from ops.datasets.identity import content_ids
from ops.inspection.opening import Counts, Pictures

NAMES = tuple(f"digit {number}" for number in range(10))


def take_digits(count: int = 400, side: int = 16) -> tuple[np.ndarray, np.ndarray]:
    """The first digits of scikit-learn, uint8 [n, side, side, 1], and their labels."""
    digits = load_digits()
    images = np.kron(digits.images[:count], np.ones((side // 8, side // 8))) * (255 / 16)
    return images.round().astype(np.uint8)[..., None], digits.target[:count].astype(np.int64)


def make_pictures(images: np.ndarray, labels: np.ndarray, splits: Sequence[str] | None = None) -> Pictures:
    """Pictures as `open_pictures` gives them; all of train unless `splits` say otherwise."""
    count, height, width, channels = images.shape
    return Pictures(
        images,
        labels,
        np.array(["train"] * count if splits is None else splits, dtype="<U10"),
        content_ids(images),
        [f"{row}.png" for row in range(count)],
        [(width, height)] * count,
        ["L" if channels == 1 else "RGB"] * count,
    )


def count_pictures(pictures: Pictures, names: tuple[str, ...] = NAMES) -> Counts:
    splits = tuple(split for split in ("train", "validation", "test") if (pictures.splits == split).any()) or ("train",)
    images = [np.bincount(pictures.labels[pictures.splits == split], minlength=len(names)) for split in splits]
    return Counts(names, splits, np.stack(images, axis=1))
