"""The mathematics that a kind of generator consists of: what its network predicts, and how noise becomes an image.

`integrate` is arithmetic on whatever stands for an image: on tensors it draws, on symbols it writes the exported
graph, so that both are one text. No network, training or file is known here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self, TypeVar

from ops.recipe.generator import DenoiserSettings

if TYPE_CHECKING:
    from torch import Tensor


class Value(Protocol):
    """An image, or what stands for one: a tensor, or a symbol of an exported graph."""

    def __add__(self, other: Any, /) -> Self: ...
    def __sub__(self, other: Any, /) -> Self: ...
    def __mul__(self, other: float, /) -> Self: ...
    def clamp(self, low: float, high: float, /) -> Self: ...


X = TypeVar("X", bound=Value)


class Evaluate(Protocol[X]):
    """The network at state `x` and a time in 0..1; the label is fixed."""

    def __call__(self, x: X, time: float, /) -> X: ...


class Predict(Protocol):
    """The network in training: states [n, C, H, W], times [n], labels [n] to its output."""

    def __call__(self, x: Tensor, t: Tensor, label: Tensor, /) -> Tensor: ...


class Denoiser(ABC):
    """Base of the kinds that denoise."""

    name: ClassVar[str]

    @abstractmethod
    def loss(self, predict: Predict, images: Tensor, labels: Tensor, noise: Tensor, level: Tensor) -> Tensor:
        """A scalar; images in -1..1 and noise [n, C, H, W], `level` [n] standard normal: how much of the noise."""

    def choose_pairing(self, settings: DenoiserSettings) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
        """The noise, in whatever order, that images are paired with; from them, their labels and the noise as drawn."""
        return lambda images, labels, noise: noise

    @abstractmethod
    def integrate(self, evaluate: Evaluate[X], noise: X, *, solver: str, steps: int) -> X:
        """The image in -1..1 that standard normal noise becomes."""

    @abstractmethod
    def count_evaluations(self, solver: str, steps: int) -> int:
        """How often `integrate` evaluates the network."""


def guide(labelled: X, unlabelled: X, guidance: float) -> X:
    """Classifier-free guidance (Ho and Salimans 2022, eq. 6), as the weight of the labelled prediction."""
    return labelled * guidance + unlabelled * (1 - guidance)
