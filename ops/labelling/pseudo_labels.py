"""Pseudo-labels: the classes that a probe gives to images without labels, evenly over classes (DPT: You et al. 2023).

The rule. The label of an image is its most probable class, the first of equally probable ones, and its confidence is
that class's probability. Of the images of a label the K with the highest confidence are taken; of equally confident
ones those that come first. So no image has two labels, no class has more than K images, and a class of which the probe
finds fewer has these. By default K is the number of images divided by that of classes, rounded up: what each class
would have if all were equally frequent.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class PseudoLabels:
    """labels : int64 [n], the most probable class of each image. confidence : float64 [n] in 0..1. taken : bool [n]."""

    labels: np.ndarray
    confidence: np.ndarray
    taken: np.ndarray

    def count(self, classes: int) -> list[int]:
        """How many images each class took."""
        return np.bincount(self.labels[self.taken], minlength=classes).tolist()


def take_evenly(probabilities: np.ndarray, per_class: int | None = None) -> PseudoLabels:
    """By the rule, from probabilities float64 [n, K]. per_class: most images of a class; None: n / K, rounded up."""
    images, classes = probabilities.shape
    most = -(-images // classes) if per_class is None else per_class
    labels = probabilities.argmax(axis=1)
    confidence = probabilities[np.arange(images), labels]
    taken = np.zeros(images, bool)
    for label in range(classes):
        members = np.flatnonzero(labels == label)
        order = np.argsort(-confidence[members], kind="stable")
        taken[members[order[:most]]] = True
    return PseudoLabels(labels.astype(np.int64), confidence, taken)
