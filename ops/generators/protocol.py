"""What every kind of generator can do: learn or be brought in, draw, be exported.

A kind is stateless; what it has learnt lies in a generator directory (design, contract 6). Nothing here imports
torch, so that the kinds can be named where nothing is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ops.machine.progress import Progress, Sink, ignore
from ops.recipe.generator import SamplerSettings
from ops.training.state import Observation

if TYPE_CHECKING:
    from torch import Tensor

    from ops.generators.drawers import DrawerSpec


class Generator(Protocol):
    """A generator that is ready: a directory, loaded."""

    @property
    def config(self) -> dict[str, Any]:
        """config.json: kind, class_names, channels, height, width, and what the kind needs."""
        ...

    def sample(self, feeds: Mapping[str, Tensor], sampler: SamplerSettings) -> Tensor:
        """The reference for what is exported: n rows of its inputs (`ops.generators.feeds`) to uint8 [n, H, W, C]."""
        ...

    def export(self, folder: Path, sampler: SamplerSettings, scratch: Path) -> Path:
        """Write the graphs into `folder`, unfinished work into `scratch`; returns the sampler's path."""
        ...


Sample = Callable[[Mapping[str, "Tensor"]], "Tensor"]
"""Draws uint8 [n, H, W, C] from n rows of each of a generator's inputs (`ops.generators.feeds`)."""


class Observer(Protocol):
    """Looks at a generator while it learns."""

    def observe(self, step: int, sample: Sample) -> Observation:
        """`sample` draws with the averaged weights."""
        ...


class LastIsBest:
    """The observer that sees nothing: later weights are better."""

    def observe(self, step: int, sample: Sample) -> Observation:
        """The later the better."""
        return Observation(-step)


@dataclass(frozen=True)
class Fitting:
    """What a kind gets to learn from, and where to.

    `images` are uint8 [n, C, H, W] and `labels` int64 [n], every class present. Paths in the settings are relative to
    `root`. What is finished goes to `out`; `scratch` holds what a run that was killed finds again. `watch` makes the
    observer of a kind that learns, from the share of near copies that it allows.
    """

    images: Tensor
    labels: Tensor
    class_names: tuple[str, ...]
    seed: int
    root: Path
    out: Path
    scratch: Path
    device: str = "cpu"
    watch: Callable[[float], Observer] = lambda max_copies: LastIsBest()
    sink: Sink = ignore
    progress: Callable[[str, int, str], Progress] = lambda label, total, unit: Progress(ignore, label, total, unit)

    def describe(self, kind: str) -> dict[str, Any]:
        """The keys that every config.json has."""
        channels, height, width = self.images.shape[1:]
        return {
            "kind": kind, "channels": channels, "height": height, "width": width, "class_names": list(self.class_names)
        }  # fmt: skip


@dataclass(frozen=True)
class Cost:
    """Seconds that a generator costs here: to fit it, of that for each step, and for each image on one core."""

    fit_seconds: float
    step_seconds: float
    image_seconds: float


class Kind(Protocol):
    """One kind of generator."""

    @property
    def name(self) -> str:
        """What a recipe calls it."""
        ...

    def check(self, settings: Any, root: Path, class_names: Sequence[str], shape: tuple[int, int, int]) -> None:
        """UserError or DamagedData for what can be known before anything is computed of images (channels, H, W)."""
        ...

    def fit(self, settings: Any, fitting: Fitting) -> dict[str, Any]:
        """Write the generator directory into `fitting.out`; returns metrics."""
        ...

    def load(self, folder: Path) -> Generator:
        """The generator of a directory; DamagedData if its files do not fit each other."""
        ...

    def find_drawer(self, folder: Path) -> DrawerSpec:
        """What draws with the generator that was exported to `folder`."""
        ...

    def estimate(
        self, settings: Any, sampler: SamplerSettings, shape: tuple[int, int, int], classes: int, root: Path
    ) -> Cost:
        """What it takes for images of `shape` (channels, height, width), from a few real steps."""
        ...
