"""The two networks of a game: a maker of images, and the critic that it learns against."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn


class Maker(nn.Module, ABC):
    """Draws images. In evaluation mode an image depends on its own latent and label alone.

    latent : numbers that an image is drawn from.
    """

    latent: int

    @abstractmethod
    def forward(self, z: Tensor, label: Tensor) -> Tensor:
        """float32 [n, C, H, W] in -1..1 of z ~ N(0, I) [n, latent] and labels int64 [n]."""

    def draw(self, z: Tensor, label: Tensor, truncation: float | None) -> Tensor:
        """The same with the recipe's `sampler.truncation`, which is None for makers without styles."""
        image: Tensor = self(z, label)
        return image

    def settle(self, z: Tensor, label: Tensor) -> None:
        """Measure on a large sample what evaluation needs beside the weights, such as the statistics of norms.

        It is called with the averaged weights before each observation; here nothing is needed.
        """
        return None


class Pair(nn.Module):
    """Maker and critic; the critic's `forward` takes images [n, C, H, W] and labels int64 [n] to scores float32 [n]."""

    def __init__(self, maker: Maker, critic: nn.Module) -> None:
        super().__init__()
        self.maker, self.critic = maker, critic

    def start_midway(self) -> None:
        """Make steps cost what they do in the middle of a training; here they always do."""
        return None


def take_latent(noise: Tensor, latent: int) -> Tensor:
    """z [n, latent]: the first numbers of noise [n, C, H, W], which is the input of all kinds alike."""
    return noise.flatten(1)[:, :latent]


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Inside the block a loss has no gradient for the network's parameters."""
    parameters = list(network.parameters())
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)
