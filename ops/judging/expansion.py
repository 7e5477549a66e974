"""The judge and the scale of an expansion, from its scorer, its training images and its validation images."""

from __future__ import annotations

import numpy as np
import torch

from ops.datasets.axes import to_nchw
from ops.datasets.pixels import PixelDataset
from ops.judging.judge import Judge, build_judge
from ops.judging.scorer import Scorer
from ops.judging.spaces import FeatureSpaces
from ops.judging.usability import Scale


def find_judge(scorer: Scorer, train: PixelDataset, held_out: PixelDataset) -> Judge | None:
    """The judge; None if there are too few real images to measure against, in all or in a fold of the scorer."""
    if len(held_out) < 2:
        return None
    if np.bincount(scorer.folds, minlength=len(scorer.models)).min() < 2:
        return None
    return build_judge(scorer, train, held_out)


def share_labels(labels: np.ndarray, count: int) -> np.ndarray:
    """Labels int64 [count] of images to be drawn, in the class shares of `labels` int [n], in mixed order."""
    shuffled = np.random.default_rng(0).permutation(labels)
    return np.tile(shuffled, -(-count // max(1, len(labels))))[:count]


def build_scale(scorer: Scorer, train: PixelDataset, held_out: PixelDataset) -> Scale:
    """What places generated images between empty and real ones."""
    images, others = (torch.from_numpy(to_nchw(part.images)) for part in (train, held_out))
    return Scale(FeatureSpaces(images, others, scorer=scorer, folds=scorer.folds), images, train.labels)
