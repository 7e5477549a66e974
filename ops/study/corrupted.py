"""Accuracy on corrupted evaluation images, of networks that learnt without them.

All arms, networks and seeds of a study are asked about the same images with the same draws. It is the mean accuracy
over the severities of each corruption, and over all of them, as CIFAR-10-C is usually reported; nothing is divided by
the errors of a reference network.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ops.classifiers.answering import ask_each
from ops.datasets.axes import to_nchw
from ops.datasets.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from ops.study.attacks import choose_rows
from ops.verdict.same_compute import average_probabilities

IMAGES = 1000  # at most: a network is asked about each of them 50 times
QUICK_IMAGES = 10  # in a quick run
SEED = 0  # of the draws, whatever the seed of the block


@dataclass(frozen=True, eq=False)
class Corrupted:
    """Images with each corruption, by its name: uint8 [severities * n, C, H, W], severity by severity.

    labels: int64 [n]. All are on the CPU.
    """

    images: Mapping[str, Tensor]
    labels: np.ndarray

    def measure(self, networks: Sequence[nn.Module], precision: str, device: str) -> dict[str, float]:
        """The accuracy under each corruption, in 0..1, of networks in evaluation mode that answer together.

        They answer by the mean of their probabilities, in the `precision` of their answers to the clean images.
        """
        labels = np.tile(self.labels, len(SEVERITIES))
        return {
            name: float((ask_together(networks, images, precision, device).argmax(axis=1) == labels).mean())
            for name, images in self.images.items()
        }


def ask_together(networks: Sequence[nn.Module], images: Tensor, precision: str, device: str) -> np.ndarray:
    """The mean probabilities, float64 [n, K], of networks in evaluation mode for uint8 images [n, C, H, W]."""
    each = ask_each(networks, images, precision=precision, device=device)
    return average_probabilities(each.softmax(dim=2).numpy())


def corrupt_images(images: np.ndarray, keys: Sequence[str], labels: np.ndarray, *, most: int = IMAGES) -> Corrupted:
    """At most `most` of the images uint8 [n, H, W, C], evenly over the classes, with every corruption and severity.

    keys: content id of each image, which decides its draws. labels: int64 [n].
    """
    rows = choose_rows(labels, most)
    chosen, names = images[rows], [keys[row] for row in rows]
    found = {}
    for kind in CORRUPTIONS:
        each = [corrupt(chosen, names, kind, severity, seed=SEED) for severity in SEVERITIES]
        found[kind] = torch.from_numpy(to_nchw(np.concatenate(each)))
    return Corrupted(found, labels[rows])
