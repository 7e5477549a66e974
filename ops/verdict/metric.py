"""The figure that a verdict is about: accuracy, balanced accuracy, or the accuracy of the worst class.

One metric decides everything in an expansion: the settings picked from a grid, the arms that are compared, and the
verdict. The module does not know arms, seeds, statistics, or where answers came from, and it needs numpy only.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from ops.recipe.design import Metric

NAMES: dict[Metric, str] = {  # in sentences and tables
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "worst_class": "accuracy of the worst class",
}

# The default changes from accuracy to balanced accuracy above this ratio of the largest to the smallest class.
LARGEST_IMBALANCE = 3


def score_answers(
    correct: npt.NDArray[np.bool_], labels: npt.NDArray[np.integer[Any]], metric: Metric
) -> npt.NDArray[np.float64]:
    """Scores float64 [...] in [0, 1] of `correct` bool [..., n], where image i belongs to class `labels[i]`.

    accuracy: the mean over images. balanced_accuracy: the mean over classes of the mean over a class's images.
    worst_class: the lowest mean over a class's images. Classes without images do not count. ValueError for no image,
    a wrong shape, or an unknown metric.
    """
    correct, labels = np.asarray(correct), np.asarray(labels)
    if labels.ndim != 1 or correct.shape[-1:] != labels.shape or not len(labels):
        raise ValueError(f"labels [n] and correct [..., n] need one n above 0, not {labels.shape} and {correct.shape}")
    if metric == "accuracy":
        return np.asarray(correct.mean(axis=-1, dtype=np.float64))
    per_class = score_classes(correct, labels)
    if metric == "balanced_accuracy":
        return np.asarray(per_class.mean(axis=-1))
    if metric == "worst_class":
        return np.asarray(per_class.min(axis=-1))
    raise ValueError(f"metric must be accuracy, balanced_accuracy or worst_class, not {metric!r}")


def score_classes(correct: npt.NDArray[np.bool_], labels: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.float64]:
    """Accuracy per class, float64 [..., C], over the C classes that have images, in the order of their numbers."""
    classes = np.unique(labels)
    return np.stack([correct[..., labels == c].mean(axis=-1, dtype=np.float64) for c in classes], axis=-1)


def weigh_images(labels: npt.NDArray[np.integer[Any]], metric: Metric) -> npt.NDArray[np.float64]:
    """Weights of the images, float64 [n], that sum to 1: the score of answers is the sum over those that are right.

    Classes weigh alike unless the metric is accuracy. The accuracy of the worst class is no such sum; it is weighed as
    balanced accuracy.
    """
    if metric == "accuracy":
        return np.full(len(labels), 1.0 / len(labels))
    counts = np.bincount(labels)
    return np.asarray(1.0 / (counts[labels] * np.count_nonzero(counts)))


def choose_metric(train_counts: Iterable[int]) -> Metric:
    """The default metric for a training split with these numbers of images per class.

    balanced_accuracy where the largest class has more than three times the images of the smallest, else accuracy.
    ValueError for no class.
    """
    counts = list(train_counts)
    if not counts:
        raise ValueError("a metric needs at least one class")
    return "balanced_accuracy" if max(counts) > LARGEST_IMBALANCE * min(counts) else "accuracy"
