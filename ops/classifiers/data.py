"""The training set of a classifier, and the augmented views of its images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ops.classifiers.networks.classifier import normalise


@dataclass(frozen=True)
class TrainingSet:
    """Images to learn from: uint8 [n, C, H, W], int64 labels [n], float64 weights [n]."""

    images: Tensor
    labels: Tensor
    weights: np.ndarray
    classes: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width."""
        channels, height, width = self.images.shape[1:]
        return channels, height, width

    @cached_property
    def counts(self) -> np.ndarray:
        """Summed weights of each class's images, float64 [K]: their number where every image weighs 1."""
        return np.bincount(self.labels.numpy(), weights=self.weights, minlength=self.classes)


@dataclass(frozen=True)
class Views:
    """A training set as a network sees it: normalised, augmented again at every look, on the network's device."""

    data: TrainingSet
    augment: Callable[[Tensor], Tensor]
    device: str

    def look(self, index: np.ndarray) -> tuple[Tensor, Tensor]:
        """Float images [m, C, H, W] in -1..1 and targets [m, K] of the rows `index` int64 [m]."""
        rows = torch.from_numpy(index)
        images = self.augment(normalise(self.data.images.index_select(0, rows).to(self.device)))
        targets = F.one_hot(self.data.labels[rows].to(self.device), self.data.classes).float()
        return images.contiguous(memory_format=torch.channels_last), targets
