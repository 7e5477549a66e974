"""What draws images for a set: a drawer, and the spec from which each worker process opens one of its own.

A drawer turns feeds into pixels and knows nothing of units, seeds or files of a set. An exported sampler in ONNX
Runtime is one; a generator that computes in torch is another.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

import numpy as np

from ops.errors import UserError
from ops.generators.feeds import LABEL, NOISE, Feeds, count_rows, cut_feeds


@dataclass(frozen=True)
class SamplerInfo:
    """What a drawer says of itself: class names, image shape (C, H, W), the inputs that it takes, the numbers that it
    computes in, how it integrates.

    solver, steps and evaluations (of the network, for one image) are None for a generator that was made elsewhere.
    """

    class_names: tuple[str, ...]
    shape: tuple[int, int, int]
    solver: str | None = None
    steps: int | None = None
    evaluations: int | None = None
    precision: str = "fp32"
    inputs: tuple[str, ...] = (NOISE, LABEL)


class Drawer(Protocol):
    """Draws batch by batch, on one thread. An image depends on its own feeds alone, not on its neighbours."""

    batch_size: int

    @property
    def info(self) -> SamplerInfo: ...

    def draw(self, feeds: Feeds) -> np.ndarray:
        """Images uint8 [n, H, W, C] from n rows of each input in `info.inputs`; ValueError for other inputs."""
        ...

    def with_batch_size(self, batch_size: int) -> Self:
        """The same drawer for batches of another size."""
        ...


class DrawerSpec(Hashable, Protocol):
    """Says how a drawer is opened; it can be pickled and hashed, so that every worker process opens its own once."""

    @property
    def uses_torch(self) -> bool:
        """Whether a worker must load torch to open it."""
        ...

    @property
    def path(self) -> Path:
        """The file that the pixels follow from: written anew, it is opened anew."""
        ...

    def read_info(self) -> SamplerInfo:
        """What an opened drawer would say of itself, without making it ready to draw."""
        ...

    def choose_provider(self, wanted: str, *, allow_fallback: bool) -> str:
        """`auto`, `cpu` or `cuda` to what will run; EnvironmentFault for what is not there, unless `allow_fallback`."""
        ...

    def open(self, provider: str, batch_size: int) -> Drawer:
        """A drawer on that provider that draws so many images at a time."""
        ...


def draw_in_parts(info: SamplerInfo, feeds: Feeds, size: int, draw_part: Callable[[Feeds], np.ndarray]) -> np.ndarray:
    """Images uint8 [n, H, W, C] from n rows of each input, at most `size` at a time.

    ValueError for other inputs than those of `info`, UserError for a label without a class.
    """
    if set(feeds) != set(info.inputs):
        raise ValueError(f"the sampler takes {', '.join(info.inputs)}; it is fed {', '.join(feeds)}")
    count, classes, label = count_rows(feeds), len(info.class_names), feeds.get(LABEL, np.empty(0))
    if len(label) and (label.min() < 0 or label.max() >= classes):
        raise UserError(f"labels must lie in 0..{classes - 1}; got {label.min()}..{label.max()}")
    channels, height, width = info.shape
    images = np.empty((count, height, width, channels), np.uint8)
    for begin in range(0, count, size):
        part = slice(begin, begin + size)
        images[part] = draw_part(cut_feeds(feeds, part))
    return images
