"""Fashion-MNIST's 60,000 training images, divided among a scorer, a held-out set and generators.

Three parts share no image: the scorer's images, the held-out images for measuring, and the generators' images, which
include the small training set. The file of the 10,000 test images is not opened. The files come with Debian's package
dataset-fashion-mnist, or lie in the folder that GROWSET_FASHION_MNIST names. The module does not know the measurements.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ops.datasets.identity import content_ids
from ops.errors import UserError
from ops.sources.layouts.arrays import ArrayFile, read_array

FOLDER = Path("/usr/share/datasets/fashion-mnist")
VARIABLE = "GROWSET_FASHION_MNIST"
IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"
CLASS_NAMES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"
)  # fmt: skip
HELD_OUT = SCORED = 600  # images of each class
SMALL = 100


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """images: uint8 [n, C, H, W]; labels: int64 [n]."""

    images: Tensor
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True)
class Division:
    """The images of each part. `small` is part of `large`; `large`, `scored` and `held_out` share no image.

    unseen: the images of `large` that are not in `small`; they stand for a perfect generator trained on `small`.
    """

    small: LabelledImages
    large: LabelledImages
    unseen: LabelledImages
    scored: LabelledImages
    held_out: LabelledImages


def read_fashion() -> LabelledImages:
    """The training images without duplicates; UserError if the files are missing."""
    folder = Path(os.environ.get(VARIABLE) or FOLDER)
    files = []
    for stem in (IMAGES, LABELS):
        found = [path for path in (folder / stem, folder / f"{stem}.gz") if path.is_file()]
        if not found:
            raise UserError(
                f"{folder} has no {stem} nor {stem}.gz: install Debian's package dataset-fashion-mnist,"
                f" or name the folder that holds Fashion-MNIST's files in {VARIABLE}"
            )
        files.append(ArrayFile(found[0]))
    images, labels = (read_array(file) for file in files)
    images = images[:, np.newaxis]
    # Duplicates could lie on both sides of a division.
    _, first = np.unique(content_ids(images), return_index=True)
    rows = np.sort(first)
    return LabelledImages(torch.from_numpy(images[rows]), labels[rows].astype(np.int64))


def divide(
    whole: LabelledImages, *, small: int = SMALL, scored: int = SCORED, held_out: int = HELD_OUT, seed: int = 0
) -> Division:
    """Divide with `seed`, by numbers of images per class; `large` gets all images outside `scored` and `held_out`."""
    parts: dict[str, list[np.ndarray]] = {"held_out": [], "scored": [], "small": [], "unseen": []}
    ends = np.cumsum([held_out, scored, small])
    for label in np.unique(whole.labels):
        members = np.random.default_rng([seed, int(label)]).permutation(np.flatnonzero(whole.labels == label))
        if len(members) <= ends[-1]:
            raise ValueError(f"class {label} has {len(members)} images; more than {ends[-1]} are needed")
        for rows, part in zip(np.split(members, ends), parts.values(), strict=True):
            part.append(rows)
    rows_of = {name: np.sort(np.concatenate(rows)) for name, rows in parts.items()}
    rows_of["large"] = np.sort(np.concatenate([rows_of["small"], rows_of["unseen"]]))
    chosen = {
        name: LabelledImages(whole.images[torch.from_numpy(rows)], whole.labels[rows]) for name, rows in rows_of.items()
    }
    return Division(**chosen)
