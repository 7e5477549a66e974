"""One array for the images of a split, filled piece by piece: allocated once, widened at the first colour image.

It records the place of each image without a text for each. It knows neither labels nor splits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ops.datasets.png import name_shape
from ops.errors import UserError


class ImageStack:
    """Images uint8 [n, H, W, C] of one shape; `images` once it is closed.

    capacity: the maximum of images that will be added. same_depth: refuse a mix of grey and colour (otherwise a mix
    becomes colour). first: place and shape of an image of another split, whose shape these images must have.
    """

    def __init__(
        self, capacity: int, source: str, *, same_depth: bool, first: tuple[str, tuple[int, ...]] | None = None
    ) -> None:
        self.capacity = capacity
        self.source = source
        self.same_depth = same_depth
        self.first = first
        self.images = np.empty((0, 0, 0, 1), np.uint8)
        self._count = 0
        self._origins: list[tuple[int, np.ndarray, Callable[[int], str]]] = []
        self._order: np.ndarray | None = None

    def add(self, images: np.ndarray | Sequence[np.ndarray], positions: np.ndarray, name: Callable[[int], str]) -> None:
        """Append images; image i comes from `name(positions[i])`. UserError if its shape differs from the others."""
        if len(images) == 0:
            return
        self._origins.append((self._count, positions, name))
        if isinstance(images, np.ndarray):
            self._require_fit(images.shape[1:], lambda: name(int(positions[0])))
            self._put(images)
            return
        for image, position in zip(images, positions, strict=True):
            self._require_fit(image.shape, lambda position=position: name(int(position)))  # type: ignore[misc]
            self._put(image[np.newaxis])

    def close(self) -> None:
        """Cut `images` to the images added; call it after the last `add`."""
        self.images = self.images[: self._count]

    def name(self, index: int) -> str:
        """The place that image `index` came from."""
        index = index if self._order is None else int(self._order[index])
        begin, positions, name = next(origin for origin in reversed(self._origins) if origin[0] <= index)
        return name(int(positions[index - begin]))

    def select(self, indices: np.ndarray) -> ImageStack:
        """A new stack of the images at ascending indices."""
        part = ImageStack(len(indices), self.source, same_depth=self.same_depth, first=self.first)
        part.images = self.images if len(indices) == len(self.images) else self.images[indices]
        part._count = len(indices)
        part._origins = self._origins
        part._order = indices if self._order is None else self._order[indices]
        return part

    def widen(self, channels: int) -> None:
        """Turn grey images into colour ones with the same value in all channels."""
        self.images = np.repeat(self.images, channels, axis=3)

    def _require_fit(self, shape: tuple[int, ...], where: Callable[[], str]) -> None:
        if self.first is None:
            self.first = (where(), tuple(shape))
        compared = 3 if self.same_depth else 2
        if tuple(shape[:compared]) != self.first[1][:compared]:
            here, there = name_shape(shape), name_shape(self.first[1])
            raise UserError(
                f"source {self.source}: {where()} is {here} while {self.first[0]} is {there}; "
                "make them agree or give the source a size"
            )

    def _put(self, images: np.ndarray) -> None:
        if self._count == 0:
            self.images = np.empty((self.capacity, *images.shape[1:]), np.uint8)
        if images.shape[3] > self.images.shape[3]:
            self.widen(images.shape[3])
        self.images[self._count : self._count + len(images)] = images  # grey fills all channels
        self._count += len(images)
