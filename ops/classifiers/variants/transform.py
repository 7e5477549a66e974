"""The interface of everything that makes variants of an image, and transforms that follow one another.

A transform changes an image and never its label. Variant k of an image follows from the transform's own seed, the
image's key and k alone: neither the other images of a call nor the order of calls change a byte (design, contract 2).
Keys are the images' ids. The module knows no generator, no nuisance and no training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

UNLIMITED = int(np.iinfo(np.int64).max)


class Transform(Protocol):
    """Makes variants of images."""

    def apply(self, images: np.ndarray, keys: Sequence[str], ks: np.ndarray) -> np.ndarray:
        """Variant ks[i] of image i: uint8 [m, H, W, C], as `images` are; ks: int64 [m], at least 0.

        A transform that has `count` variants of an image gives variant k mod count. KeyError for an image that it does
        not know, or of which it has none.
        """
        ...

    def count(self, keys: Sequence[str]) -> np.ndarray:
        """How many different variants there are of each image, int64 [m]; 0 where there is none."""
        ...


@dataclass(frozen=True)
class Composition:
    """Transforms one after another: variant k of a later one is made of variant k of the earlier one.

    Members draw independently only if their seeds differ. Those that look an image up by its key, and do not look at
    the pixels that they are given, must come first.
    """

    members: tuple[Transform, ...]

    def apply(self, images: np.ndarray, keys: Sequence[str], ks: np.ndarray) -> np.ndarray:
        for member in self.members:
            images = member.apply(images, keys, ks)
        return images

    def count(self, keys: Sequence[str]) -> np.ndarray:
        """The least that any member has; 0 where one of them has none."""
        least: np.ndarray = np.min([member.count(keys) for member in self.members], axis=0)
        return least
