"""A complete kind of generator that learns to denoise: mathematics, network, training, directory and export.

Modules that compute are imported inside functions, so that kinds can be named without loading torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ops.generators.folder import find_fastest
from ops.generators.kinds.denoiser import Denoiser
from ops.generators.kinds.flow import Flow
from ops.generators.protocol import Cost, Fitting, Generator
from ops.recipe.denoisers import AnyFlowSettings, DenoiserSettings
from ops.recipe.sampler import SamplerSettings

if TYPE_CHECKING:
    from torch import Tensor

    from ops.generators.denoising.network import ConditionalUNet
    from ops.generators.denoising.session import Session
    from ops.generators.describable import OpenedFeatures
    from ops.generators.drawers import DrawerSpec
    from ops.generators.imaginable import OpenedPrior


@dataclass(frozen=True)
class DenoiserKind:
    """The operations that all denoising kinds share, for the mathematics in `maths`."""

    maths: Denoiser

    @property
    def name(self) -> str:
        return self.maths.name

    def check(
        self, settings: DenoiserSettings, root: Path, class_names: Sequence[str], shape: tuple[int, int, int]
    ) -> None:
        """Does nothing: the schema has checked everything."""

    def fit(self, settings: DenoiserSettings, fitting: Fitting) -> dict[str, Any]:
        from ops.generators.denoising.fitting import fit_denoiser

        return fit_denoiser(self.maths, settings, fitting, self.refine)

    def refine(self, settings: DenoiserSettings, session: Session) -> dict[str, Any]:
        """Refine the trained network in place; returns metrics. The base class does nothing."""
        return {}

    def load(self, folder: Path) -> Generator:
        from ops.generators.denoising.network import build_network
        from ops.generators.stored_network import load_network

        network, config = load_network(folder, build_network)
        return DenoiserGenerator(self.maths.configure(config), network, config)

    def open_features(self, folder: Path, seed: int) -> OpenedFeatures:
        """See `ops.generators.describable`. ValueError for a network that knows classes and no label for none."""
        from ops.generators.denoising.features import DenoiserFeatures, find_unlabelled

        generator = self.load(folder)
        assert isinstance(generator, DenoiserGenerator)
        return DenoiserFeatures(generator.maths, generator.network, find_unlabelled(generator.config), seed)

    def find_drawer(self, folder: Path) -> DrawerSpec:
        from ops.generators.onnx.engine import OnnxFile

        return OnnxFile(find_fastest(folder))

    def estimate(
        self,
        settings: DenoiserSettings,
        sampler: SamplerSettings,
        shape: tuple[int, int, int],
        classes: int,
        root: Path,
    ) -> Cost:
        from ops.generators.denoising.cost import estimate_denoiser

        return estimate_denoiser(self.maths, settings, sampler, shape, classes, self.estimate_refining)

    def guess(
        self,
        settings: DenoiserSettings,
        sampler: SamplerSettings,
        shape: tuple[int, int, int],
        root: Path,
        rate: float,
        workers: int,
    ) -> Cost:
        from ops.generators.denoising.guessing import guess_denoiser

        return guess_denoiser(self.maths, settings, sampler, shape, rate, workers, self.estimate_refining)

    def estimate_refining(self, settings: DenoiserSettings, step_seconds: float, evaluation_seconds: float) -> float:
        """Seconds that `refine` takes, from the seconds of a training step and of an evaluation for one image."""
        return 0.0


@dataclass(frozen=True)
class FlowKind(DenoiserKind):
    """The flow, which may be distilled after training."""

    maths: Flow = field(default_factory=Flow)

    def refine(self, settings: DenoiserSettings, session: Session) -> dict[str, Any]:
        """Distil if the settings ask for it."""
        assert isinstance(settings, AnyFlowSettings)
        if settings.distillation is None:
            return {}
        from ops.generators.denoising.distillation import distil

        return distil(self.maths, settings.distillation, session)

    def estimate_refining(self, settings: DenoiserSettings, step_seconds: float, evaluation_seconds: float) -> float:
        assert isinstance(settings, AnyFlowSettings)
        if (student := settings.distillation) is None:
            return 0.0
        heun_steps = student.teacher_steps // student.evaluations
        evaluations = student.evaluations * self.maths.count_evaluations("heun", heun_steps)
        steps = student.steps * student.batch_size / settings.batch_size
        return steps * step_seconds + student.pairs * evaluations * evaluation_seconds

    def open_prior(self, folder: Path, sampler: SamplerSettings) -> OpenedPrior:
        """See `ops.generators.imaginable`, also for the next one."""
        from ops.generators.denoising.pixel_prior import PixelPrior

        generator = self.load(folder)
        assert isinstance(generator, DenoiserGenerator)
        config = generator.config
        shape = config["channels"], config["height"], config["width"]
        return PixelPrior(self.maths, generator.network.requires_grad_(False), sampler, shape)

    def weigh_decoding(
        self, settings: DenoiserSettings, sampler: SamplerSettings, shape: tuple[int, int, int], root: Path
    ) -> float:
        """The whole of the solver."""
        return 1.0


@dataclass(frozen=True)
class DenoiserGenerator:
    """A trained network and the mathematics that draws with it."""

    maths: Denoiser
    network: ConditionalUNet
    config: dict[str, Any]

    def sample(self, feeds: Mapping[str, Tensor], sampler: SamplerSettings) -> Tensor:
        from ops.generators.denoising.sampling import sample_pixels

        return sample_pixels(self.maths, self.network, feeds, sampler)

    def export(self, folder: Path, sampler: SamplerSettings, scratch: Path) -> Path:
        from ops.generators.onnx.export import export_denoiser

        return export_denoiser(self.maths, self.network, self.config, sampler, folder, scratch)
