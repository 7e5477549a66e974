"""The interface of every kind of generator: be trained or imported, draw, be exported.

A kind is stateless; a trained generator lies in a generator directory (design, contract 6). This module does not
import torch, so that kinds can be named where nothing is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ops.generators.folder import LABELLED
from ops.machine.progress import Progress, Sink, ignore
from ops.recipe.sampler import SamplerSettings
from ops.training.state import Observation

if TYPE_CHECKING:
    from torch import Tensor

    from ops.generators.drawers import DrawerSpec


class Generator(Protocol):
    """A generator loaded from its directory."""

    @property
    def config(self) -> dict[str, Any]:
        """config.json: kind, class_names, channels, height, width, and the kind's own keys."""
        ...

    def sample(self, feeds: Mapping[str, Tensor], sampler: SamplerSettings) -> Tensor:
        """The exported sampler's reference: n rows of its inputs (`ops.generators.feeds`) to uint8 [n, H, W, C]."""
        ...

    def export(self, folder: Path, sampler: SamplerSettings, scratch: Path) -> Path:
        """Write the graphs into `folder`, unfinished work into `scratch`; returns the sampler's path.

        A kind that draws in torch alone writes no graph, and returns the path of its config.json.
        """
        ...


Sample = Callable[[Mapping[str, "Tensor"]], "Tensor"]
"""Draws uint8 [n, H, W, C] from n rows of each of a generator's inputs (`ops.generators.feeds`)."""


class Observer(Protocol):
    """Evaluates a generator during training."""

    def observe(self, step: int, sample: Sample) -> Observation:
        """`sample` draws with the averaged weights."""
        ...


class KeepLast:
    """An observer that draws nothing and always prefers the latest weights."""

    def observe(self, step: int, sample: Sample) -> Observation:
        """Nothing is measured, so nothing speaks for an earlier moment."""
        return Observation()


@dataclass(frozen=True)
class Fitting:
    """Training data and folders for a kind.

    `images` are uint8 [n, C, H, W] and `labels` int64 [n], every class present. Without `class_names` the images have
    no labels, which are then all 0. Paths in the settings are relative to `root`. Finished files go to `out`; a killed
    run resumes from `scratch`. `watch` makes the observer of a kind that is trained, given the share of near copies
    that it allows. `prior` is the generator directory of the recipe's prior, where it has one. `name` begins the lines
    of progress.
    """

    images: Tensor
    labels: Tensor
    class_names: tuple[str, ...]
    seed: int
    root: Path
    out: Path
    scratch: Path
    prior: Path | None = None
    name: str = "generator"
    device: str = "cpu"
    watch: Callable[[float], Observer] = lambda max_copies: KeepLast()
    sink: Sink = ignore
    progress: Callable[[str, int, str], Progress] = lambda label, total, unit: Progress(ignore, label, total, unit)

    def describe(self, kind: str) -> dict[str, Any]:
        """The keys that every config.json has."""
        channels, height, width = self.images.shape[1:]
        shape = {"channels": channels, "height": height, "width": width}
        unlabelled = {} if self.class_names else {LABELLED: False}
        return {"kind": kind, **shape, "class_names": list(self.class_names), **unlabelled}


@dataclass(frozen=True)
class Cost:
    """Seconds on this machine: for the whole fit, for each of its steps, and for each image on one core."""

    fit_seconds: float
    step_seconds: float
    image_seconds: float


class Kind(Protocol):
    """One kind of generator."""

    @property
    def name(self) -> str:
        """The value of `kind` in a recipe."""
        ...

    def check(self, settings: Any, root: Path, class_names: Sequence[str], shape: tuple[int, int, int]) -> None:
        """UserError or DamagedData for faults that need no compute to find; `shape` is (channels, H, W)."""
        ...

    def fit(self, settings: Any, fitting: Fitting) -> dict[str, Any]:
        """Write the generator directory into `fitting.out`; returns metrics."""
        ...

    def load(self, folder: Path) -> Generator:
        """The generator of a directory; DamagedData if its files do not fit each other."""
        ...

    def find_drawer(self, folder: Path) -> DrawerSpec:
        """The drawer of the generator that was exported to `folder`."""
        ...

    def estimate(
        self, settings: Any, sampler: SamplerSettings, shape: tuple[int, int, int], classes: int, root: Path
    ) -> Cost:
        """The cost for images of `shape` (channels, height, width), timed on a few real steps."""
        ...

    def guess(
        self,
        settings: Any,
        sampler: SamplerSettings,
        shape: tuple[int, int, int],
        root: Path,
        rate: float,
        workers: int,
    ) -> Cost:
        """The same within a second, at `rate` products a second on each of `workers` cores."""
        ...
