"""Where a network denoises: among images, or among something smaller that stands for them.

A space is written for tensors, which are drawn with, and for symbols, which the exporter writes (`kinds.denoiser`).
"""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

X = TypeVar("X")


class Space(Protocol[X]):
    """What is denoised, and how it comes from images in -1..1 [n, C, H, W] and becomes such ones."""

    @property
    def shape(self) -> tuple[int, int, int] | None:
        """Of what stands for one image: (channels, height, width); None: that of the image."""
        ...

    def take_noise(self, noise: X) -> X:
        """The noise of this space, from noise of the images' shape, which every generator is fed."""
        ...

    def encode(self, image: X) -> X:
        """What stands for images."""
        ...

    def decode(self, found: X) -> X:
        """The images for which it stands, not yet clamped."""
        ...


class Pixels:
    """The images themselves."""

    shape = None

    def take_noise(self, noise: Any) -> Any:
        return noise

    def encode(self, image: Any) -> Any:
        return image

    def decode(self, found: Any) -> Any:
        return found


PIXELS: Space[Any] = Pixels()
