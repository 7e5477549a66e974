"""What all kinds that learn to denoise share: one network, one training loop, one export.

Such a kind says three things: what the network is asked to predict (`loss`), how noise becomes an image (`integrate`)
and which solvers that knows. `integrate` is arithmetic on whatever stands for an image: on tensors it draws, on
symbols it writes the exported graph, so that both are one text. torch is imported where it computes, because the
settings belong to the recipe.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, Self, TypeVar

from pydantic import Field, model_validator

from ops.generators.kinds.protocol import Cost, Fitting, Generator, KindSettings, SamplerSettings
from ops.recipe.section import Count, Fraction, Positive, Precision

if TYPE_CHECKING:
    from torch import Tensor

    from ops.generators.fitting import Training
    from ops.generators.network import ConditionalUNet


class Value(Protocol):
    """An image, or what stands for one: a tensor, or a symbol of an exported graph."""

    def __add__(self, other: Any, /) -> Self: ...
    def __sub__(self, other: Any, /) -> Self: ...
    def __mul__(self, other: float, /) -> Self: ...
    def clamp(self, low: float, high: float, /) -> Self: ...


X = TypeVar("X", bound=Value)


class Evaluate(Protocol[X]):
    """The network at state `x` and a time in 0..1; the label is fixed."""

    def __call__(self, x: X, time: float, /) -> X: ...


class Predict(Protocol):
    """The network in training: states [n, C, H, W], times [n], labels [n] to its output."""

    def __call__(self, x: Tensor, t: Tensor, label: Tensor, /) -> Tensor: ...


class DenoiserSettings(KindSettings):
    """The network and its training; the same for every kind that denoises."""

    widths: tuple[int, ...] = Field(
        (32, 64), strict=False, min_length=1, max_length=5, description="channels per level"
    )
    layers_per_block: int = Field(1, ge=1, le=4, description="residual blocks per level")
    unshuffle: Literal[1, 2, 4] = Field(2, description="work at 1/unshuffle of the resolution")
    dropout: float = Field(0.0, ge=0, lt=1, description="in the residual blocks while training")
    steps: Count = Field(1000, description="optimizer steps")
    batch_size: Count = Field(128, description="images per optimizer step")
    optimizer: Literal["muon", "adamw"] = Field("muon", description="muon learns in about half of adamw's steps")
    learning_rate: Positive = Field(0.01, description="decays linearly over the last 30 %; adamw wants 0.002")
    weight_decay: float = Field(0.01, ge=0, description="decoupled from the gradient")
    warmup_steps: int = Field(100, ge=0, description="over which the rate rises")
    ema_decay: float = Field(0.998, ge=0, lt=1, description="decay of the averaged weights that are kept")
    class_balanced: bool = Field(True, description="draw all classes equally often, however uneven they are")
    augment: Fraction = Field(
        0.0, description="share of images flipped, shifted, scaled, rotated; the network is told, so that none leaks"
    )
    label_dropout: Fraction = Field(0.0, lt=1, description="share of images trained without label; guidance needs it")
    checkpoints: int = Field(4, ge=1, le=100, description="moments at which quality is measured; the best is kept")
    max_copies: Fraction = Field(
        0.05, description="training ends when the share of near copies is this far above that of unseen real images"
    )
    precision: Precision = Field("auto", description="auto is bf16 where the hardware multiplies it")

    @model_validator(mode="after")
    def _check_network(self) -> Self:
        if any(width < 8 or width % 8 for width in self.widths):
            raise ValueError("widths must be positive multiples of 8")
        return self


class Denoiser(ABC):
    """Base of the kinds that denoise."""

    name: ClassVar[str]
    Settings: ClassVar[type[DenoiserSettings]]
    solvers: ClassVar[Mapping[str, int]]  # and their default steps; the first is the default

    @abstractmethod
    def loss(self, predict: Predict, images: Tensor, labels: Tensor, noise: Tensor, level: Tensor) -> Tensor:
        """A scalar; images in -1..1 and noise [n, C, H, W], `level` [n] standard normal: how much of the noise."""

    def choose_pairing(self, settings: DenoiserSettings) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
        """The noise, in whatever order, that images are paired with; from them, their labels and the noise as drawn."""
        return lambda images, labels, noise: noise

    @abstractmethod
    def integrate(self, evaluate: Evaluate[X], noise: X, *, solver: str, steps: int) -> X:
        """The image in -1..1 that standard normal noise becomes."""

    @abstractmethod
    def count_evaluations(self, solver: str, steps: int) -> int:
        """How often `integrate` evaluates the network."""

    def resolve_sampler(self, generator: Mapping[str, Any], sampler: Mapping[str, Any]) -> dict[str, Any]:
        solver = sampler.get("solver") or next(iter(self.solvers))
        if solver not in self.solvers:
            raise ValueError(
                f"sampler.solver must be {' or '.join(self.solvers)} with kind: {self.name}; got {solver!r}"
            )
        steps = self.solvers[solver] if sampler.get("steps") is None else sampler["steps"]
        if sampler.get("guidance", 1.0) != 1.0 and not generator.get("label_dropout"):
            raise ValueError("sampler.guidance needs a generator that was trained with label_dropout: above 0")
        return {**sampler, "solver": solver, "steps": steps}

    def check(  # noqa: B027
        self, settings: DenoiserSettings, root: Path, class_names: Sequence[str], shape: tuple[int, int, int]
    ) -> None:
        """Nothing beyond what the schema has checked."""

    def describe(self, settings: DenoiserSettings) -> dict[str, Any]:
        """What config.json says of the network."""
        return {
            "widths": list(settings.widths), "layers_per_block": settings.layers_per_block,
            "unshuffle": settings.unshuffle, "dropout": settings.dropout, "drops_labels": settings.label_dropout > 0,
            "conditions": 6 if settings.augment else 0,  # of `augmentation.augment`
        }  # fmt: skip

    def fit(self, settings: DenoiserSettings, fitting: Fitting) -> dict[str, Any]:
        from ops.generators.fitting import fit_denoiser

        return fit_denoiser(self, settings, fitting)

    def refine(self, settings: DenoiserSettings, training: Training) -> dict[str, Any]:
        """What follows training, on its network in place; returns metrics. Nothing, unless a kind has more to do."""
        return {}

    def estimate_refining(self, settings: DenoiserSettings, step_seconds: float, evaluation_seconds: float) -> float:
        """Seconds of `refine`, from those of a training step and of one image's evaluation."""
        return 0.0

    def load(self, folder: Path) -> Generator:
        from ops.generators.folder import load_network

        network, config = load_network(folder)
        return DenoiserGenerator(self, network, config)

    def estimate(
        self,
        settings: DenoiserSettings,
        sampler: SamplerSettings,
        shape: tuple[int, int, int],
        classes: int,
        root: Path,
    ) -> Cost:
        from ops.generators.fitting import estimate_denoiser

        return estimate_denoiser(self, settings, sampler, shape, classes)


@dataclass(frozen=True)
class DenoiserGenerator:
    """A trained network and how its kind draws with it."""

    kind: Denoiser
    network: ConditionalUNet
    config: dict[str, Any]

    def sample(self, noise: Tensor, label: Tensor, sampler: SamplerSettings) -> Tensor:
        import torch

        from ops.generators.network import to_pixels

        with torch.inference_mode():
            return to_pixels(draw(self.kind, self.network, noise, label, sampler).float())

    def export(self, folder: Path, sampler: SamplerSettings, scratch: Path) -> Path:
        from ops.generators.export import export_denoiser

        return export_denoiser(self.kind, self.network, self.config, sampler, folder, scratch)


def draw(kind: Denoiser, network: ConditionalUNet, noise: Tensor, label: Tensor, sampler: SamplerSettings) -> Tensor:
    """Images in -1..1 [n, C, H, W]; guidance evaluates the network with the last label, which means none, as well."""
    import torch

    nothing = torch.full_like(label, network.label.num_embeddings - 1)

    def evaluate(x: Tensor, time: float) -> Tensor:
        t = x.new_full((len(x),), time)
        output: Tensor = network(x, t, label)
        return output if sampler.guidance == 1.0 else guide(output, network(x, t, nothing), sampler.guidance)

    assert sampler.solver is not None and sampler.steps is not None
    return kind.integrate(evaluate, noise, solver=sampler.solver, steps=sampler.steps)


def guide(labelled: X, unlabelled: X, guidance: float) -> X:
    """Classifier-free guidance (Ho and Salimans 2022, eq. 6), as the weight of the labelled prediction."""
    return labelled * guidance + unlabelled * (1 - guidance)
