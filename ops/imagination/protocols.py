"""What guided imagination asks of others: a prior that makes images from latents, and a scorer that judges them.

Both are structural types: any object with these members will do, and none needs to import this module. Both must treat
the rows of a batch independently (networks in evaluation mode) and draw nothing from a global generator of random
numbers, because a variant is to be a function of its seed image and its number alone (design, contract 2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol, runtime_checkable

from torch import Tensor


class Prior(Protocol):
    """Encodes images into latents and decodes them again.

    Each element of a latent should have a variance of about 1 over natural images, because b ~ N(0, 1) is added to it
    and the ball's radius is in this unit. A prior of another scale divides and multiplies by its own.
    """

    @property
    def latent_shape(self) -> tuple[int, ...]:
        """Of one image: (C, h, w) of a map, (T, d) of tokens, (d,) of an embedding."""
        ...

    def encode(self, images: Tensor) -> Tensor:
        """Latents float32 [n, *latent_shape] of images float32 [n, C, H, W] in 0..1."""
        ...

    def decode(self, latents: Tensor) -> Tensor:
        """Images float32 [n, C, H, W] in 0..1, differentiable with respect to the latents.

        A decoder that overshoots clamps its images itself.
        """
        ...


@dataclass(frozen=True)
class Request:
    """Names one variant: the k-th of the seed image `key` with its `label`, in a round of a run's seed.

    Noise and prompt of the variant are functions of this alone.
    """

    key: str
    label: int
    k: int
    seed: int
    round_: int


@runtime_checkable
class VaryingPrior(Prior, Protocol):
    """A prior that varies an image by itself, before anything is perturbed, as image-to-image diffusion does."""

    def vary(self, images: Tensor, requests: Sequence[Request]) -> Tensor:
        """Latents float32 [n, *latent_shape] of one variant of each image float32 [n, C, H, W] in 0..1."""
        ...


@runtime_checkable
class RenderingPrior(Prior, Protocol):
    """A prior whose finished images come from another decoder than the one that is climbed through.

    An exported decoder, for instance, so that images are those that the exported generator would make.
    """

    def render(self, latents: Tensor) -> Tensor:
        """As `decode`, up to rounding, without gradients."""
        ...


@runtime_checkable
class StartingPrior(Prior, Protocol):
    """A prior whose decoder draws an image that a latent describes, from noise on: without the noise there is none.

    Each variant has a noise of its own, which follows from its request as everything else does. So images of one latent
    differ, and guided, random and plain variants of one number have the same noise.
    """

    def start_from(self, requests: Sequence[Request]) -> Prior:
        """The same prior, whose `decode` takes as many latents as there are requests, each from its request's noise."""
        ...


@runtime_checkable
class CheckedPrior(Prior, Protocol):
    """A prior whose finished images a safety checker looks at, before they are reduced to the dataset's size."""

    @property
    def is_checked(self) -> bool:
        """Whether it looks."""
        ...

    def finish(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """As `decode`, without gradients, and which images the checker flags, bool [n]: none where it does not look."""
        ...


@runtime_checkable
class PromptedPrior(Prior, Protocol):
    """A prior that is told a text for each variant."""

    def write_prompts(self, requests: Sequence[Request]) -> list[str]:
        """The texts under which `vary` varies."""
        ...


@runtime_checkable
class SettlingPrior(Prior, Protocol):
    """A prior whose decoder expects latents of a certain noise, which a perturbation must not add to."""

    def settle(self, moved: Tensor, latents: Tensor, clean: Tensor) -> Tensor:
        """The perturbed latents `moved` [n, ...] with the noise that `latents` had; `latents` themselves come back.

        `clean` [1, ...] is what `encode` makes of the seed image, without noise. It is differentiable.
        """
        ...


class Statistics(NamedTuple):
    """Mean and standard deviation of each channel of images in 0..1; one number stands for all channels."""

    mean: tuple[float, ...]
    deviation: tuple[float, ...]


UNCHANGED = Statistics((0.0,), (1.0,))


class Answer(NamedTuple):
    """What a scorer says of n inputs.

    features : float32 [n, d], each of length 1. log_probabilities : float32 [n, K] over the K classes, natural logs.
    """

    features: Tensor
    log_probabilities: Tensor

    def detach(self) -> Answer:
        """The same numbers without their history."""
        return Answer(self.features.detach(), self.log_probabilities.detach())

    def take(self, rows: Tensor | slice) -> Answer:
        """Some of the rows."""
        return Answer(self.features[rows], self.log_probabilities[rows])


class Scorer(Protocol):
    """Judges images, or latents where a prior's latent is an embedding that a classifier can read.

    The latter is GIF-DALLE's case: guidance on the image embedding, before anything is decoded.
    """

    @property
    def reads(self) -> Literal["images", "latents"]: ...

    def answer(self, inputs: Tensor, keys: Sequence[str], statistics: Statistics | None = None) -> Answer:
        """The answer on images float32 [n, C, H, W] in 0..1 or latents [n, *latent_shape], differentiable.

        `keys` name the seed image that each row is, or is a variant of. `statistics` take the place of the scorer's
        own normalisation; ValueError for a scorer of latents, which has none.
        """
        ...
