"""What every kind of generator can do: learn or be brought in, draw, be exported.

A kind is stateless; what it has learnt lies in a generator directory (design, contract 6). Nothing here imports
torch: the kinds' settings are part of the recipe, which is read where nothing is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from pydantic import Field

from ops.progress import Progress, Sink, ignore
from ops.recipe.section import Section

if TYPE_CHECKING:
    from torch import Tensor


class KindSettings(Section):
    """The section `generator` of a recipe; each kind adds its own keys."""

    kind: str
    seeds: int = Field(
        1,
        ge=1,
        le=100,
        description="generators that are trained, each with images of its own; classifier seed s takes number s mod"
        " seeds, so that the verdict holds for another generator of this recipe; 2 are too few where a verdict decides",
    )


class SamplerSettings(Section):
    """How the exported sampler draws; what is null is the kind's default."""

    solver: str | None = Field(
        None,
        description="flow and edm: heun, euler; ddpm: dpmpp, ddim; heun costs 2·steps - 1 evaluations, others steps",
    )
    steps: int | None = Field(None, ge=1, le=64, description="of the solver")
    guidance: float = Field(
        1.0, ge=0, le=20, description="classifier-free guidance, away from what is drawn without label; 1 is none"
    )
    precision: Literal["fp32", "int8", "fp16"] = Field(
        "fp32", description="int8 is faster on processors, fp16 on GPUs; taken only if as good as fp32 within 5 %"
    )


class Generator(Protocol):
    """A generator that is ready: a directory, loaded."""

    @property
    def config(self) -> dict[str, Any]:
        """config.json: kind, class_names, channels, height, width, and what the kind needs."""
        ...

    def sample(self, noise: Tensor, label: Tensor, sampler: SamplerSettings) -> Tensor:
        """The reference for what is exported: noise float32 [n, C, H, W], labels int64 [n] to uint8 [n, H, W, C]."""
        ...

    def export(self, folder: Path, sampler: SamplerSettings, scratch: Path) -> Path:
        """Write the graphs into `folder`, unfinished work into `scratch`; returns the sampler's path."""
        ...


class Observer(Protocol):
    """Looks at a generator while it learns."""

    def observe(self, step: int, sample: Callable[[Tensor, Tensor], Tensor]) -> Observation:
        """`sample` draws with the averaged weights: noise and labels to uint8 [n, H, W, C]."""
        ...


@dataclass(frozen=True)
class Observation:
    """What an observer says: the lower the score, the better; `stop` ends training."""

    score: float
    stop: bool = False


class LastIsBest:
    """The observer that sees nothing: later weights are better."""

    def observe(self, step: int, sample: Callable[[Tensor, Tensor], Tensor]) -> Observation:
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

    @property
    def Settings(self) -> type[KindSettings]:
        """Its section of a recipe."""
        ...

    def resolve_sampler(self, generator: Mapping[str, Any], sampler: Mapping[str, Any]) -> dict[str, Any]:
        """The sampler's keys with this kind's defaults, from what the recipe writes; ValueError for what cannot be."""
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

    def estimate(
        self, settings: Any, sampler: SamplerSettings, shape: tuple[int, int, int], classes: int, root: Path
    ) -> Cost:
        """What it takes for images of `shape` (channels, height, width), from a few real steps."""
        ...
