"""The scores of generated images: everything that a rule may ask of an image, before any threshold.

A score belongs to its image, its label and the images of its class drawn before it; it does not change when more are
drawn, nor with the batch it is examined in. Distances are relative: 1 is as far as the nearest real image lies from
its own nearest real neighbour, so that one threshold serves smooth and busy classes alike. Held-out real images are
scored in the same way, for rules to be calibrated with.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ops.filters.neighbours import find_nearest, make_thumbnails, measure_spacing

Scores = dict[str, np.ndarray]  # by name, one value an image

Probabilities = Callable[[Tensor], np.ndarray]


class Examiner:
    """Compares images with the real ones and with those that it has met before.

    Parameters
    ----------
    judge : calibrated probabilities [n, K] of uint8 images [n, C, H, W].
    train, held_out : real images, uint8 [n, C, H, W]; `held_out` those that classifiers are judged by.
    """

    def __init__(self, judge: Probabilities, train: Tensor, held_out: Tensor) -> None:
        self._judge = judge
        self._train = References(train)
        self._held_out = References(held_out)

    def examine(self, images: Tensor, labels: np.ndarray, met: Met) -> Scores:
        """All scores of uint8 images [n, C, H, W] with labels int [n], which `met` holds afterwards."""
        near, exact = self._held_out.measure(images)
        return self._examine(images, labels, met) | {
            "held_out_distance": near[0],
            "nearest_held_out": near[1],
            "copy_of_held_out": exact,
        }

    def examine_real(self, images: Tensor, labels: np.ndarray) -> Scores:
        """The scores that rules are calibrated with, of real images that neither scorer nor generator has seen."""
        return self._examine(images, labels, Met())

    def _examine(self, images: Tensor, labels: np.ndarray, met: Met) -> Scores:
        probabilities = self._judge(images)
        own = np.arange(len(labels)), labels
        others = probabilities.copy()
        others[own] = -np.inf
        near, exact = self._train.measure(images)
        pixels = images.flatten(1).float()
        return {
            "label_probability": probabilities[own].astype(np.float32),
            "label_margin": (probabilities[own] - others.max(1)).astype(np.float32),
            "predicted": probabilities.argmax(1),
            "contrast": pixels.std(1).numpy(),
            "saturation": ((pixels == 0) | (pixels == 255)).float().mean(1).numpy(),
            "typicality": np.full(len(labels), np.nan, np.float32),
            "train_distance": near[0],
            "nearest_train": near[1],
            "copy_of_train": exact,
            **met.measure(images, labels, self._train.spacing[near[1]]),
        }


class References:
    def __init__(self, images: Tensor) -> None:
        self.thumbnails = make_thumbnails(images)
        self.spacing = measure_spacing(self.thumbnails)
        self.digests = {image.tobytes() for image in images.numpy()}

    def measure(self, images: Tensor) -> tuple[tuple[np.ndarray, np.ndarray], np.ndarray]:
        distance, nearest = find_nearest(make_thumbnails(images), self.thumbnails)
        exact = np.array([image.tobytes() in self.digests for image in images.numpy()], dtype=bool)
        return ((distance / self.spacing[nearest]).astype(np.float32), nearest), exact


class Met:
    """The images met so far, in order."""

    def __init__(self) -> None:
        self.thumbnails = torch.empty(0, 0)
        self.labels = np.empty(0, np.int64)
        self.digests: set[bytes] = set()

    def add(self, images: Tensor, labels: np.ndarray) -> None:
        thumbnails = make_thumbnails(images)
        self.thumbnails = torch.cat([self.thumbnails, thumbnails]) if len(self.labels) else thumbnails
        self.labels = np.concatenate([self.labels, labels])
        self.digests |= {image.tobytes() for image in images.numpy()}

    def measure(self, images: Tensor, labels: np.ndarray, spacing: np.ndarray) -> Scores:
        begin = len(self.labels)
        repeat = []
        for image in images.numpy():
            repeat.append(image.tobytes() in self.digests)
            self.digests.add(image.tobytes())
        thumbnails = make_thumbnails(images)
        self.thumbnails = torch.cat([self.thumbnails, thumbnails]) if begin else thumbnails
        self.labels = np.concatenate([self.labels, labels])
        distance, index = np.full(len(labels), np.inf, np.float32), np.full(len(labels), -1, np.int64)
        for row in range(len(labels)):
            same = np.flatnonzero(self.labels[: begin + row] == labels[row])
            if len(same):
                found, place = find_nearest(thumbnails[row : row + 1], self.thumbnails[torch.from_numpy(same)])
                distance[row], index[row] = found[0] / spacing[row], same[place[0]]
        return {"generated_distance": distance, "nearest_generated": index, "repeat": np.array(repeat, bool)}
