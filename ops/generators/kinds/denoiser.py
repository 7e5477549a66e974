"""The mathematics of a kind of generator: what its network predicts, and how noise becomes an image.

`integrate` is arithmetic on a tensor or on a symbol: tensors give images, symbols give the exported graph, so the
solver is written once for both. This module knows no network, no training and no file.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self, TypeVar

from ops.recipe.denoisers import DenoiserSettings

if TYPE_CHECKING:
    from torch import Tensor


class Value(Protocol):
    """A batch of images: a tensor, or a symbol of an exported graph."""

    def __add__(self, other: Any, /) -> Self: ...
    def __sub__(self, other: Any, /) -> Self: ...
    def __mul__(self, other: float, /) -> Self: ...
    def clamp(self, low: float, high: float, /) -> Self: ...


X = TypeVar("X", bound=Value)


class Evaluate(Protocol[X]):
    """The network at state `x` and a time in 0..1; the label is fixed."""

    def __call__(self, x: X, time: float, /) -> X: ...


class Predict(Protocol):
    """The network in training: output [n, C, H, W] at states [n, C, H, W], times [n] and labels [n]."""

    def __call__(self, x: Tensor, t: Tensor, label: Tensor, /) -> Tensor: ...


class Denoiser(ABC):
    """Base of the kinds that denoise."""

    name: ClassVar[str]

    def describe(self, images: Tensor) -> dict[str, Any]:
        """What the mathematics needs to know of the training images uint8 [n, C, H, W]: keys of config.json."""
        return {}

    def configure(self, config: Mapping[str, Any]) -> Denoiser:
        """The same mathematics for the data that `config` describes."""
        return self

    @abstractmethod
    def loss(self, predict: Predict, images: Tensor, labels: Tensor, noise: Tensor, level: Tensor) -> Tensor:
        """A scalar; images in -1..1 and noise [n, C, H, W]; `level` [n], standard normal, sets the noise level."""

    def noise_share(self, level: Tensor) -> Tensor:
        """How noisy the state of a `level` [n] is, in 0..1: the share of levels with less noise."""
        return ((level / math.sqrt(2)).erf() + 1) / 2

    def find_level(self, share: float) -> float:
        """The level whose `noise_share` is `share`, above 0 and below 1."""
        return NormalDist().inv_cdf(share)

    def choose_pairing(self, settings: DenoiserSettings) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
        """A function of images, groups (int64 [n]) and noise; it returns the noise, reordered within groups."""
        return lambda images, groups, noise: noise

    @abstractmethod
    def integrate(self, evaluate: Evaluate[X], noise: X, *, solver: str, steps: int) -> X:
        """Turn standard normal noise into an image in -1..1."""

    def vary(self, evaluate: Evaluate[X], image: X, noise: X, strength: float, *, solver: str, steps: int) -> X:
        """Turn an image in -1..1 into a variant: mix `strength` of the noise into it, and remove the noise again."""
        raise NotImplementedError(f"kind {self.name} draws from noise alone")

    @abstractmethod
    def count_evaluations(self, solver: str, steps: int) -> int:
        """How many times `integrate` or `vary` evaluates the network."""


def guide(labelled: X, unlabelled: X, guidance: float) -> X:
    """Classifier-free guidance (Ho and Salimans 2022, eq. 6); `guidance` is 1 + w, the labelled prediction's weight."""
    return labelled * guidance + unlabelled * (1 - guidance)
