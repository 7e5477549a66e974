"""The interface of every ingredient of an arm. A new kind is one file that inherits from here, and one line in the
registry of its package; its settings are a section and a line in `ops.recipe.arms`.

All are built for one training. They know its settings, its training set and its budget of steps, but no other arm.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from ops.classifiers.data import TrainingSet, Views
from ops.recipe.arms import Arm, Network
from ops.recipe.design import Metric


class Budget(Protocol):
    """The budget of one training; a section of a recipe."""

    @property
    def steps(self) -> int: ...
    @property
    def batch_size(self) -> int: ...
    @property
    def label_smoothing(self) -> float: ...
    @property
    def optimizer(self) -> str: ...
    @property
    def precision(self) -> str: ...
    @property
    def clean_statistics(self) -> bool: ...
    @property
    def network(self) -> Network: ...


class Augmentation(ABC):
    """A label-preserving change of images, drawn again for each image.

    It maps float images [n, C, H, W] in -1..1 to the same shape and range, and draws from torch's and Python's global
    generators, which the trainer seeds. A network that was shown mirrored images (`mirrors`) treats an image and its
    mirror image alike.
    """

    @abstractmethod
    def __init__(self, settings: Any, side: tuple[int, int]) -> None:
        """For images of `side` = (height, width)."""

    @abstractmethod
    def __call__(self, images: Tensor) -> Tensor: ...

    def advance(self, done: float) -> None:
        """Be told before each step what share of the steps is done, in 0..1, for changes that depend on it.

        Whoever takes no steps does not call it.
        """
        return

    def pair(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Two views of each image, drawn apart."""
        return self(images), self(images)

    @classmethod
    def mirrors(cls, settings: Any) -> bool:
        """Whether it shows mirrored images."""
        return False


class Pairing(ABC):
    """Blends the images and labels of a batch, with one another or with others of the training set."""

    @abstractmethod
    def __init__(self, settings: Any, data: TrainingSet, budget: Budget) -> None: ...

    @abstractmethod
    def pair(
        self, images: Tensor, targets: Tensor, views: Views, step: int, rng: np.random.Generator
    ) -> tuple[Tensor, Tensor]:
        """Images [m, C, H, W] and targets [m, K] that replace these; `views` gives access to the whole set."""


class Sampler(ABC):
    """Decides how often each image of the training set is shown."""

    @abstractmethod
    def __init__(self, settings: Any, data: TrainingSet, budget: Budget) -> None: ...

    @abstractmethod
    def weights(self, step: int) -> np.ndarray:
        """Weights float64 [n] of the images at a step: the same array until they change, where a new pass begins."""

    @classmethod
    def equals_uniform(cls, settings: Any, counts: np.ndarray) -> bool:
        """Whether it equals the uniform sampler if the classes weigh `counts` [K]."""
        return False

    @classmethod
    def list_shown(cls, settings: Any, counts: np.ndarray) -> Sequence[np.ndarray] | None:
        """What the classes weigh as it shows them, float64 [K] for each of its phases, if they weigh `counts` [K].

        None if it does not say.
        """
        return None


Head = str | Mapping[str, Any]
"""A head: one of `networks.HEADS` by its name, or with its keys as {"kind": name, ...}."""


class Loss(ABC):
    """The loss of a batch's predictions."""

    @abstractmethod
    def __init__(self, settings: Any, data: TrainingSet, sampler: Sampler, budget: Budget, device: str) -> None:
        """`data.counts` are the sizes of the classes in the training set; `sampler` may show them in other shares."""

    @abstractmethod
    def __call__(self, logits: Tensor, targets: Tensor, step: int) -> Tensor:
        """A scalar, from float32 logits and targets [m, K]."""

    @classmethod
    def head(cls, settings: Any) -> Head:
        """The head that it needs."""
        return "linear"

    @classmethod
    def equals_plain(cls, settings: Any, counts: np.ndarray, shown: Sequence[np.ndarray] | None) -> bool:
        """Whether it equals the plain loss if the classes weigh `counts` [K], and `shown` as the sampler shows them.

        shown: as `Sampler.list_shown`.
        """
        return False


class Targets(ABC):
    """What a batch is taught: the images' own labels, or what other networks say."""

    @abstractmethod
    def __init__(self, settings: Any, teachers: Sequence[Callable[[Tensor], Tensor]]) -> None:
        """teachers: networks in evaluation mode, from normalised images to logits; none where no arm is named."""

    @abstractmethod
    def find_loss(self, logits: Tensor, images: Tensor, own: Callable[[], Tensor]) -> Tensor:
        """A scalar, from logits [m, K] of images [m, C, H, W] as the network saw them.

        own: gives the arm's loss on the images' own labels.
        """

    @classmethod
    @abstractmethod
    def covers(cls, settings: Any, *, is_generated: bool) -> bool:
        """Whether it changes what real, or generated, images are taught."""


@dataclass(frozen=True)
class Validation:
    """What a trainer may choose by: images uint8 [n, C, H, W], labels int64 [n], and the metric that judges."""

    images: Tensor
    labels: np.ndarray
    metric: Metric


@dataclass(frozen=True)
class Training:
    """One training: the input of a trainer.

    `seed` fixes initialisation, batch order, augmentation and pairing; trainings that share it start from the same
    weights. `on_step` is called with the number of steps taken and the loss of the last. `teachers` are the networks
    that the arm's targets name. `pool` uint8 [m, C, H, W] are images without labels, and `prior` is the folder of a
    generator that learnt from them; None for arms that need none. `validation` is for trainers that choose.
    `on_diagnosis` is told figures that a trainer finds on the way, by name; nothing is decided by them.
    """

    data: TrainingSet
    arm: Arm
    budget: Budget
    learning_rate: float
    weight_decay: float
    seed: int
    device: str = "cpu"
    on_step: Callable[[int, float], None] = lambda step, loss: None
    teachers: Sequence[Callable[[Tensor], Tensor]] = ()
    pool: Tensor | None = None
    prior: Path | None = None
    validation: Validation | None = None
    on_diagnosis: Callable[[str, float], None] = lambda name, value: None
