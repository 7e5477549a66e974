"""A complete kind of generator that learns against a critic: networks, game, training, directory and export.

Modules that compute are imported inside functions, so that kinds can be named without loading torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ops.generators.adversarial.design import Design
from ops.generators.adversarial.guessing import guess_adversarial
from ops.generators.feeds import LABEL, NOISE
from ops.generators.folder import find_sampler
from ops.generators.protocol import Cost, Fitting, Generator
from ops.recipe.adversarial import AdversarialSettings
from ops.recipe.sampler import SamplerSettings

if TYPE_CHECKING:
    from torch import Tensor

    from ops.generators.adversarial.pair import Maker
    from ops.generators.drawers import DrawerSpec

Settings = TypeVar("Settings", bound=AdversarialSettings)


@dataclass(frozen=True)
class AdversarialKind(Generic[Settings]):
    """The operations that all adversarial kinds share, for the networks and the game of `design`."""

    design: Design[Settings]

    @property
    def name(self) -> str:
        return self.design.name

    def check(self, settings: Settings, root: Path, class_names: Sequence[str], shape: tuple[int, int, int]) -> None:
        """UserError for images that are too small."""
        self.design.check(settings, shape)

    def fit(self, settings: Settings, fitting: Fitting) -> dict[str, Any]:
        from ops.generators.adversarial.fitting import fit_adversarial

        return fit_adversarial(self.design, settings, fitting)

    def load(self, folder: Path) -> Generator:
        from ops.generators.stored_network import load_network

        return AdversarialGenerator(*load_network(folder, self.design.build_maker))

    def find_drawer(self, folder: Path) -> DrawerSpec:
        from ops.generators.onnx.engine import OnnxFile

        return OnnxFile(find_sampler(folder))

    def estimate(
        self, settings: Settings, sampler: SamplerSettings, shape: tuple[int, int, int], classes: int, root: Path
    ) -> Cost:
        from ops.generators.adversarial.cost import estimate_adversarial

        return estimate_adversarial(self.design, settings, shape, classes)

    def guess(
        self,
        settings: Settings,
        sampler: SamplerSettings,
        shape: tuple[int, int, int],
        root: Path,
        rate: float,
        workers: int,
    ) -> Cost:
        return guess_adversarial(settings, self.design.count_products(settings, shape), rate, workers)


@dataclass(frozen=True)
class AdversarialGenerator:
    """A trained maker."""

    maker: Maker
    config: dict[str, Any]

    def sample(self, feeds: Mapping[str, Tensor], sampler: SamplerSettings) -> Tensor:
        import torch

        from ops.generators.adversarial.drawing import Drawing

        with torch.inference_mode():
            images: Tensor = Drawing(self.maker, sampler.truncation)(feeds[NOISE], feeds[LABEL])
            return images

    def export(self, folder: Path, sampler: SamplerSettings, scratch: Path) -> Path:
        from ops.generators.adversarial.export import export_maker

        return export_maker(self.maker, self.config, sampler, folder, scratch)
