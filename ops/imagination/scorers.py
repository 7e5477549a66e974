"""Scorers: the cross-fitted classifier that every expansion trains, a zero-shot classifier of images and one of
embeddings, and a probe on features that were learnt without these images' labels.

All compute in float32 and can be differentiated with respect to what they read. What sees images is given; this module
knows no file and no network of others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from ops.imagination.protocols import Answer, Scorer, Statistics

OWN = Statistics((0.5,), (0.5,))  # levels of 0..1 become -1..1, as in ops.classifiers.networks.classifier.normalise

See = Callable[[Tensor, Statistics | None], Tensor]  # images [n, C, H, W] in 0..1 to features [n, d], differentiable


class Network(Protocol):
    """A classifier in evaluation mode (`ops.classifiers.networks.classifier.Classifier` is one)."""

    def features(self, x: Tensor) -> Tensor:
        """[n, d] of normalised images [n, C, H, W]."""
        ...

    @property
    def head(self) -> Head: ...


class Head(Protocol):
    """The last layer of a classifier."""

    def __call__(self, features: Tensor) -> Tensor:
        """Logits [n, K] of features [n, d]."""
        ...


@dataclass(frozen=True, eq=False)
class CrossFittedScorer:
    """Networks of which one each did not see a seed image: that one judges it and its variants.

    A network that was trained on the seed image is sure of it and of everything near to it, so its entropy says nothing
    and its gradient pulls back to the image.

    models : one per fold. temperature : of their logits (`ops.judging.scorer.Scorer` holds both). folds : of each seed
    image, by its key, the number of the network that did not see it.
    """

    models: Sequence[Network]
    temperature: float
    folds: Mapping[str, int]
    reads: Literal["images", "latents"] = "images"

    def answer(self, inputs: Tensor, keys: Sequence[str], statistics: Statistics | None = None) -> Answer:
        """Answers on images [n, C, H, W] in 0..1; ValueError for a key whose fold is not known."""
        numbers = find_folds(self.folds, keys).to(inputs.device)
        x = normalise(inputs, statistics or OWN)
        order = numbers.argsort(stable=True)
        features, logits = [], []
        for fold in sorted(set(numbers.tolist())):
            model = self.models[fold]
            found = model.features(x[numbers == fold])
            features.append(found)
            logits.append(model.head(found))
        back = order.argsort()
        return Answer(
            F.normalize(torch.cat(features)[back].float(), dim=1),
            torch.log_softmax(torch.cat(logits)[back].float() / self.temperature, dim=1),
        )


@dataclass(frozen=True, eq=False)
class ZeroShotScorer:
    """Compares images with the names of the classes, as CLIP does, which nothing was trained for on the task.

    It saw none of the images, so each is judged alike. see : embeddings of length 1. classes : float32 [K, d], of
    length 1. scale : of the cosines before the softmax.
    """

    see: See
    classes: Tensor
    scale: float
    reads: Literal["images", "latents"] = "images"

    def answer(self, inputs: Tensor, keys: Sequence[str], statistics: Statistics | None = None) -> Answer:
        """Answers on images [n, C, H, W] in 0..1."""
        features = self.see(inputs, statistics)
        return Answer(features, torch.log_softmax(self.scale * features @ self.classes.T, dim=1))


@dataclass(frozen=True, eq=False)
class Heads:
    """Linear classifiers of standardised features, one for each fold of the labelled images.

    mean, deviation : [F, d], of the features that each learnt from. weights : [F, K, d]. intercepts : [F, K].
    temperature : of their logits.
    """

    mean: Tensor
    deviation: Tensor
    weights: Tensor
    intercepts: Tensor
    temperature: float

    def standardise(self, features: Tensor, folds: Tensor) -> Tensor:
        """[n, d] of features [n, d], each by its own fold's numbers; folds int [n]."""
        return (features - self.mean[folds]) / self.deviation[folds]

    def find_logits(self, standardised: Tensor, folds: Tensor) -> Tensor:
        """[n, K], divided by the temperature."""
        found = torch.einsum("nkd,nd->nk", self.weights[folds], standardised) + self.intercepts[folds]
        return found / self.temperature


@dataclass(frozen=True, eq=False)
class ProbeScorer:
    """Reads features by the head that did not see the seed image's label.

    folds : of each seed image, by its key, the number of that head.
    """

    see: See
    heads: Heads
    folds: Mapping[str, int]
    reads: Literal["images", "latents"] = "images"

    def answer(self, inputs: Tensor, keys: Sequence[str], statistics: Statistics | None = None) -> Answer:
        """Answers on images [n, C, H, W] in 0..1; ValueError for a key whose fold is not known."""
        folds = find_folds(self.folds, keys).to(inputs.device)
        standardised = self.heads.standardise(self.see(inputs, statistics), folds)
        logits = self.heads.find_logits(standardised, folds)
        return Answer(F.normalize(standardised, dim=1), torch.log_softmax(logits, dim=1))


@dataclass(frozen=True, eq=False)
class EmbeddingScorer:
    """Reads a latent that is an embedding, by its cosines with an embedding of each class: GIF-DALLE's guidance.

    classes : float32 [K, d], each of length 1, such as CLIP's texts or the mean embedding of each class's images.
    scale : of the cosines before the softmax; CLIP's is 100. mean, deviation : float32 [d], by which latents were
    standardised: latent = (embedding - mean) / deviation, as unCLIP's; None where latents are embeddings.

    ValueError for one of these two without the other.
    """

    classes: Tensor
    scale: float = 100.0
    mean: Tensor | None = None
    deviation: Tensor | None = None
    reads: Literal["images", "latents"] = "latents"

    def __post_init__(self) -> None:
        if (self.mean is None) != (self.deviation is None):
            raise ValueError("embeddings were standardised by a mean and a deviation; give both, or neither")

    def answer(self, inputs: Tensor, keys: Sequence[str], statistics: Statistics | None = None) -> Answer:
        """Answers on latents [n, d]."""
        if statistics is not None:
            raise ValueError("a scorer of latents sees no image to normalise")
        embeddings = inputs.float()
        if self.mean is not None and self.deviation is not None:
            embeddings = embeddings * self.deviation + self.mean
        features = F.normalize(embeddings, dim=1)
        return Answer(features, torch.log_softmax(self.scale * features @ self.classes.T, dim=1))


@dataclass(frozen=True, eq=False)
class OnHost:
    """A scorer of images whose networks stay on the CPU, for a prior on another device; gradients pass through."""

    scorer: Scorer
    reads: Literal["images", "latents"] = "images"

    def answer(self, inputs: Tensor, keys: Sequence[str], statistics: Statistics | None = None) -> Answer:
        """Answers on images [n, C, H, W] in 0..1, on their device."""
        found = self.scorer.answer(inputs.cpu(), keys, statistics)
        return Answer(*(each.to(inputs.device) for each in found))


def find_folds(folds: Mapping[str, int], keys: Sequence[str]) -> Tensor:
    """The fold of each key, int [n]; ValueError for one that is not known."""
    if unknown := [key for key in keys if key not in folds]:
        raise ValueError(f"the scorer does not know which network did not see the seed image {unknown[0]}")
    return torch.tensor([folds[key] for key in keys])


def normalise(images: Tensor, statistics: Statistics) -> Tensor:
    """(x - mean) / deviation for each channel of images [n, C, H, W]."""
    mean, deviation = (torch.tensor(values, device=images.device).view(1, -1, 1, 1) for values in statistics)
    return (images - mean) / deviation
