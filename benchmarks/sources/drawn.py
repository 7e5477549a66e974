"""What a source holds before it is written: images and labels by split, and the faults that were planted in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class Labelled:
    """images: uint8 [n, H, W, C], C of 1, 3 or 4 (RGBA); labels: int64 [n]."""

    images: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: np.ndarray) -> Labelled:
        """Those rows, in that order."""
        return Labelled(self.images[rows], self.labels[rows])


@dataclass(frozen=True, eq=False)
class Drawn:
    """splits: train, and validation and test where the source has its own; Growset draws the others.

    planted: what is wrong with the source on purpose, by the name of the fault.
    """

    class_names: tuple[str, ...]
    splits: Mapping[str, Labelled]
    planted: Mapping[str, Any] = field(default_factory=dict)


def divide_classes(whole: Labelled, counts: Mapping[str, int], rng: np.random.Generator) -> dict[str, Labelled]:
    """So many images of each class to each split, no image to two. ValueError where a class has too few."""
    rows: dict[str, list[np.ndarray]] = {split: [] for split in counts}
    ends = np.cumsum(list(counts.values()))
    for label in np.unique(whole.labels):
        members = rng.permutation(np.flatnonzero(whole.labels == label))
        if len(members) < ends[-1]:
            raise ValueError(f"class {label} has {len(members)} images; {ends[-1]} are needed")
        for split, part in zip(counts, np.split(members[: ends[-1]], ends[:-1]), strict=True):
            rows[split].append(part)
    return {split: whole.take(np.sort(np.concatenate(parts))) for split, parts in rows.items()}


def divide_by_shares(whole: Labelled, shares: Mapping[str, float], rng: np.random.Generator) -> dict[str, Labelled]:
    """A share of each class to each split, rounded down; the first split gets what the others leave."""
    first, *others = shares
    rows: dict[str, list[np.ndarray]] = {split: [] for split in shares}
    for label in np.unique(whole.labels):
        left = rng.permutation(np.flatnonzero(whole.labels == label))
        total = len(left)
        for split in others:
            count = int(shares[split] * total)
            rows[split].append(left[:count])
            left = left[count:]
        rows[first].append(left)
    return {split: whole.take(np.sort(np.concatenate(parts))) for split, parts in rows.items()}


def keep_distinct(whole: Labelled) -> Labelled:
    """The first of each set of images that are equal byte for byte."""
    flat = whole.images.reshape(len(whole), -1)
    _, first = np.unique(flat, axis=0, return_index=True)
    return whole.take(np.sort(first))
