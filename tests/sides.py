"""Images of two classes for tests, a bright square on the left or on the right, and a scorer that needs no training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from ops.datasets.identity import content_ids
from ops.datasets.pixels import PixelDataset, build_rows

SIDE, NAMES = 16, ("left", "right")


def make_sides(count: int, seed: int) -> PixelDataset:
    """A bright square somewhere, on the left for class 0 and on the right for class 1, with noise around."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % len(NAMES)
    images = rng.integers(0, 90, (count, SIDE, SIDE, 1)).astype(np.uint8)
    for image, label in zip(images, labels, strict=True):
        top, left = rng.integers(0, 10), rng.integers(0, 3) + 8 * label
        image[top : top + 5, left : left + 5] = rng.integers(150, 250)
    return PixelDataset(images, build_rows(labels, content_ids(images), split="train"), NAMES)


@dataclass(frozen=True)
class SideScorer:
    """Names the brighter side. Image i is judged by network folds[i] alone; those who ask must know that."""

    folds: np.ndarray

    def examine(self, images: Tensor, networks: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
        assert len(networks) == len(images) and set(networks.tolist()) <= set(self.folds.tolist())
        halves = images.double().mean(dim=(1, 2)).reshape(len(images), 2, -1).mean(-1).numpy()
        return halves / halves.sum(axis=1, keepdims=True), []
