"""The judge of an expansion, from its scorer, its training images and its validation images."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ops.datasets.pixels import PixelDataset
from ops.judging.judge import Judge, load_judge


def find_judge(scorer: Path, train: PixelDataset, held_out: PixelDataset, seed: int) -> Judge | None:
    """The judge; None if there are too few real images to measure against. `seed` is the recipe's."""
    if len(held_out) < 2 or np.bincount(train.labels).min() < 2:
        return None
    return load_judge(scorer, train, held_out, seed)
