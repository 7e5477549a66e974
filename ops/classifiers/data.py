"""The training set of a classifier, and the augmented views of its images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ops.classifiers.networks.classifier import normalise
from ops.classifiers.variants.transform import Transform


@dataclass(frozen=True, eq=False)
class Variants:
    """What makes variants of the images of a training set, and the key of each image [n]."""

    transform: Transform
    keys: Sequence[str]


@dataclass(frozen=True)
class TrainingSet:
    """Images to learn from: uint8 [n, C, H, W], int64 labels [n], float64 weights [n]; a negative label means none.

    `is_generated` bool [n] marks generated images; None where all are real. `variants` is for an arm that shows some.
    `soft` float [n, K] are probabilities of all classes that are taught in the place of the labels; None: the labels.
    """

    images: Tensor
    labels: Tensor
    weights: np.ndarray
    classes: int
    is_generated: np.ndarray | None = None
    variants: Variants | None = None
    soft: Tensor | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width."""
        channels, height, width = self.images.shape[1:]
        return channels, height, width

    @cached_property
    def marks(self) -> np.ndarray:
        """`is_generated` as bool [n], also where all are real."""
        return np.zeros(len(self.labels), dtype=bool) if self.is_generated is None else self.is_generated

    @cached_property
    def is_labelled(self) -> np.ndarray:
        """Bool [n]."""
        return (self.labels >= 0).numpy()

    def select(self, chosen: np.ndarray) -> TrainingSet:
        """The images that `chosen` bool [n] marks."""
        rows = torch.from_numpy(np.flatnonzero(chosen))
        marks = None if self.is_generated is None else self.is_generated[chosen]
        soft = None if self.soft is None else self.soft[rows]
        return TrainingSet(self.images[rows], self.labels[rows], self.weights[chosen], self.classes, marks, soft=soft)

    def drop_weights(self, dropped: np.ndarray) -> TrainingSet:
        """The same images; those that `dropped` bool [n] marks weigh nothing."""
        return replace(self, weights=np.where(dropped, 0.0, self.weights))

    @cached_property
    def counts(self) -> np.ndarray:
        """The size of each class, float64 [K]: the summed weights of its images, where the heaviest image counts 1.

        It is the number of images where all weigh the same; a generated image counts 1/N of a real one.
        """
        return self.sum_by_class(self.weights) / self.weights.max()

    def sum_by_class(self, weights: np.ndarray) -> np.ndarray:
        """Float64 [K]: the sum over each class's images of any weights float64 [n]."""
        return np.bincount(self.labels.numpy(), weights=weights, minlength=self.classes)


@dataclass(frozen=True)
class Views:
    """A training set as a network sees it: normalised, augmented again at every look, on the network's device."""

    data: TrainingSet
    augment: Callable[[Tensor], Tensor]
    device: str

    def look(self, index: np.ndarray, pixels: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Float images [m, C, H, W] in -1..1 and targets [m, K] of the rows `index` int64 [m].

        pixels : uint8 [m, C, H, W] that are shown in the place of the rows' own.
        """
        rows = torch.from_numpy(index)
        shown = self.data.images.index_select(0, rows) if pixels is None else pixels
        images = self.augment(normalise(shown.to(self.device)))
        if self.data.soft is None:
            targets = F.one_hot(self.data.labels[rows].to(self.device), self.data.classes).float()
        else:
            targets = self.data.soft[rows].to(self.device)
        return images.contiguous(memory_format=torch.channels_last), targets
