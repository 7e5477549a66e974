"""What a kind of generator must have beyond `Kind` so that, as a prior, it can imagine (`ops.imagination`).

One method opens a trained generator as a prior that encodes, varies and decodes; another says how much of a variant's
cost is the decoding, for plans. Its section of the recipe says `imagines = True`. What is opened is a
`VaryingPrior` of `ops.imagination.protocols`, which this package lies below and does not import: any object with its
members will do, and with those of the other priors there where it needs them. Images are float32 [n, C, H, W] in 0..1
there, and in -1..1 inside of most generators.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from ops.recipe.sampler import SamplerSettings

if TYPE_CHECKING:
    from torch import Tensor

    from ops.generators.drawers import DrawerSpec


class Asked(Protocol):
    """One variant that is asked for: the k-th of the seed image `key` with its `label`, in a round of a run's seed.

    Noise and prompt of the variant follow from these five alone.
    """

    @property
    def key(self) -> str: ...
    @property
    def label(self) -> int: ...
    @property
    def k(self) -> int: ...
    @property
    def seed(self) -> int: ...
    @property
    def round_(self) -> int: ...


class OpenedPrior(Protocol):
    """A trained generator for imagination. It treats rows independently and draws nothing from a global generator.

    An element of a latent has a variance of about 1, because the ball's radius is in this unit. It may also have
    `render`, which is `decode` without gradients, such as the exported decoder's.
    """

    @property
    def latent_shape(self) -> tuple[int, ...]: ...

    def encode(self, images: Tensor) -> Tensor:
        """Latents float32 [n, *latent_shape] of images, which are not varied."""
        ...

    def vary(self, images: Tensor, requests: Sequence[Asked]) -> Tensor:
        """Latents of one variant of each image, at the sampler's strength."""
        ...

    def decode(self, latents: Tensor) -> Tensor:
        """Images of latents, differentiable."""
        ...


@runtime_checkable
class ImaginingKind(Protocol):
    """A kind that can imagine."""

    def open_prior(self, folder: Path, sampler: SamplerSettings) -> OpenedPrior:
        """The generator of a directory, which may be exported already, on the CPU; the strength is a number."""
        ...

    def weigh_decoding(self, settings: Any, sampler: SamplerSettings, shape: tuple[int, int, int], root: Path) -> float:
        """The share in 0..1 of a variant's cost that is `decode`; `shape` is (channels, H, W), `root` the workspace."""
        ...


@runtime_checkable
class DeviceKind(ImaginingKind, Protocol):
    """A kind that can imagine, and does so on a GPU where its drawer finds one."""

    def open_prior_on(self, folder: Path, sampler: SamplerSettings, device: str) -> OpenedPrior:
        """As `open_prior`, on `cpu` or `cuda`."""
        ...

    def find_drawer(self, folder: Path) -> DrawerSpec:
        """What draws plain variants, and knows where."""
        ...


def draw_asked(shape: tuple[int, ...], requests: Sequence[Asked]) -> Tensor:
    """The noise float32 [n, *shape] that the exported sampler would be fed for these variants."""
    import numpy as np
    import torch

    from ops.generators.noise import draw_noise

    rows = [draw_noise(shape, seed=r.seed, round_=r.round_, unit=r.key, start=r.k, count=1) for r in requests]
    return torch.from_numpy(np.concatenate(rows))


def to_levels(images: Tensor) -> Tensor:
    """Images in -1..1, which are clamped, as images in 0..1."""
    return (images.clamp(-1, 1) + 1) / 2
