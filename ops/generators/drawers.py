"""Drawers, which draw the images of a set, and the specs from which each worker process opens its own drawer.

A drawer turns feeds into pixels. It knows nothing of units, seeds or files. One drawer runs an exported sampler in
ONNX Runtime, another a generator in torch.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self, runtime_checkable

import numpy as np

from ops.errors import UserError
from ops.generators.feeds import LABEL, NOISE, Feeds, count_rows, cut_feeds
from ops.machine.parallel import start_threads

PROMPT, FLAGGED = "prompt", "flagged"  # columns: the text of an image, and whether its generator's checker flags it


@dataclass(frozen=True)
class SamplerInfo:
    """Description of a drawer: class names, image shape (C, H, W), inputs, number format, and how it integrates.

    evaluations: of the network, for one image. solver, steps and evaluations are None where they are not known, as for
    a generator that was made elsewhere. together: consecutive draws of a unit that are made at once, even if one is
    asked for. records: whether the drawer is a `RecordingDrawer`.
    """

    class_names: tuple[str, ...]
    shape: tuple[int, int, int]
    solver: str | None = None
    steps: int | None = None
    evaluations: int | None = None
    precision: str = "fp32"
    inputs: tuple[str, ...] = (NOISE, LABEL)
    together: int = 1
    records: bool = False


class Drawer(Protocol):
    """Draws batch by batch on one thread. An image depends only on its own feeds, not on the rest of the batch."""

    batch_size: int

    @property
    def info(self) -> SamplerInfo: ...

    def draw(self, feeds: Feeds) -> np.ndarray:
        """Images uint8 [n, H, W, C] from n rows of each input in `info.inputs`; ValueError for other inputs."""
        ...

    def with_batch_size(self, batch_size: int) -> Self:
        """The same drawer for batches of another size."""
        ...


@runtime_checkable
class RecordingDrawer(Drawer, Protocol):
    """A drawer that also says how each image came about."""

    def draw_recorded(self, feeds: Feeds) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """The images of `draw`, and columns of n rows each; an array [n, d] is a column of lists."""
        ...


class DrawerSpec(Hashable, Protocol):
    """How to open a drawer. It can be pickled and hashed, so that every worker process opens its own drawer once."""

    @property
    def uses_torch(self) -> bool:
        """Whether a worker must load torch to open it."""
        ...

    @property
    def path(self) -> Path:
        """The file that determines the pixels; a worker opens it again when it is rewritten."""
        ...

    def read_info(self) -> SamplerInfo:
        """The `info` of the drawer, without making it ready to draw."""
        ...

    def choose_provider(self, wanted: str, *, allow_fallback: bool) -> str:
        """Resolve `auto`, `cpu` or `cuda`; EnvironmentFault if it is not available, unless `allow_fallback`."""
        ...

    def open(self, provider: str, batch_size: int) -> Drawer:
        """A drawer on `provider` that draws `batch_size` images at a time."""
        ...


def draw_in_threads(spec: DrawerSpec, feeds: Feeds, size: int, provider: str = "cpu") -> np.ndarray:
    """Images uint8 [n, H, W, C] from n rows of each input, drawn on the CPU by all threads that this process may use.

    Each call of the drawer gets `size` rows, so that no bit depends on the number of threads. On another provider one
    thread drives the device.
    """
    opened = spec.open(provider, size)
    if provider != "cpu":
        return opened.draw(feeds)

    def draw(begin: int) -> np.ndarray:
        return opened.with_batch_size(size).draw(cut_feeds(feeds, slice(begin, begin + size)))

    with start_threads() as pool:
        return np.concatenate(list(pool.map(draw, range(0, count_rows(feeds), size))))


def draw_in_parts(info: SamplerInfo, feeds: Feeds, size: int, draw_part: Callable[[Feeds], np.ndarray]) -> np.ndarray:
    """Images uint8 [n, H, W, C] from n rows of each input, at most `size` at a time.

    ValueError for inputs other than those of `info`, UserError for a label without a class.
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
