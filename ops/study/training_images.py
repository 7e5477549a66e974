"""How well networks name the images that they learnt from, for the gap to the evaluation images.

The gap of the theory of generative data augmentation (Zheng et al., NeurIPS 2023) is that of the training set, real and
generated images together; that of the real images alone says what was learnt by heart. A gap is not a risk: it also
falls where the training images are named worse.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ops.classifiers.data import TrainingSet
from ops.study.corrupted import ask_together

MOST = 5000  # images that are asked about, of the set and of its real ones each
SEED = 0  # of their draw


@dataclass(frozen=True, eq=False)
class TrainingImages:
    """Images that an arm learnt from with labels, without augmentation, on the CPU.

    images: uint8 [n, C, H, W]. labels: int64 [n]. weights: of each in the whole set, float64 [n]. is_real: bool [n].
    """

    images: Tensor
    labels: np.ndarray
    weights: np.ndarray
    is_real: np.ndarray

    def measure(self, networks: Sequence[nn.Module], precision: str, device: str) -> tuple[float, float]:
        """The accuracy on the set, whose images count as they weigh, and on its real images, in 0..1.

        networks: in evaluation mode; they answer by the mean of their probabilities.
        """
        correct = ask_together(networks, self.images, precision, device).argmax(axis=1) == self.labels
        return float(np.average(correct, weights=self.weights)), float(correct[self.is_real].mean())


def choose_training_images(data: TrainingSet, *, most: int = MOST) -> TrainingImages:
    """Images of a training set; of a large one `most` of the real ones and `most` of the others, at random.

    A part that is drawn stands for all of its kind, so its images weigh more. Images without labels are left out.
    """
    rng = np.random.default_rng(SEED)
    labelled, marks = data.is_labelled, data.marks
    chosen, scale = list[np.ndarray](), list[np.ndarray]()
    for own in (np.flatnonzero(labelled & ~marks), np.flatnonzero(labelled & marks)):
        drawn = np.sort(rng.permutation(own)[:most])
        chosen.append(drawn)
        total = data.weights[drawn].sum()
        scale.append(data.weights[drawn] * (data.weights[own].sum() / total if total else 0.0))
    rows = np.concatenate(chosen)
    images, labels = (each[torch.from_numpy(rows)] for each in (data.images, data.labels))
    return TrainingImages(images, labels.numpy(), np.concatenate(scale), ~marks[rows])
