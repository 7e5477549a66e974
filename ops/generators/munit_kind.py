"""Kind `munit`: variants of seed images, of their content in a random style, for all classes alike.

Modules that compute are imported inside functions, so that kinds can be named without loading torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ops.generators.feeds import IMAGE, NOISE
from ops.generators.folder import find_sampler
from ops.generators.munit.depths import check_shape
from ops.generators.protocol import Cost, Fitting, Generator
from ops.recipe.munit import MunitSettings
from ops.recipe.sampler import SamplerSettings

if TYPE_CHECKING:
    from torch import Tensor

    from ops.generators.drawers import DrawerSpec
    from ops.generators.munit.network import Makers


@dataclass(frozen=True)
class MunitKind:
    """The operations of the kind."""

    name: ClassVar[str] = "munit"

    def check(
        self, settings: MunitSettings, root: Path, class_names: Sequence[str], shape: tuple[int, int, int]
    ) -> None:
        """UserError for images that are too small."""
        check_shape(settings, shape)

    def fit(self, settings: MunitSettings, fitting: Fitting) -> dict[str, Any]:
        from ops.generators.munit.fitting import fit_munit

        return fit_munit(settings, fitting)

    def load(self, folder: Path) -> Generator:
        from ops.generators.munit.network import build_makers
        from ops.generators.stored_network import load_network

        return MunitGenerator(*load_network(folder, build_makers))

    def find_drawer(self, folder: Path) -> DrawerSpec:
        from ops.generators.onnx.coded import CodedFile

        return CodedFile(find_sampler(folder))

    def estimate(
        self, settings: MunitSettings, sampler: SamplerSettings, shape: tuple[int, int, int], classes: int, root: Path
    ) -> Cost:
        from ops.generators.munit.cost import estimate_munit

        return estimate_munit(settings, shape, classes)

    def guess(
        self,
        settings: MunitSettings,
        sampler: SamplerSettings,
        shape: tuple[int, int, int],
        root: Path,
        rate: float,
        workers: int,
    ) -> Cost:
        from ops.generators.munit.guessing import guess_munit

        return guess_munit(settings, shape, rate, workers)


@dataclass(frozen=True)
class MunitGenerator:
    """Trained makers."""

    makers: Makers
    config: dict[str, Any]

    def sample(self, feeds: Mapping[str, Tensor], sampler: SamplerSettings) -> Tensor:
        import torch

        from ops.generators.levels import to_float
        from ops.generators.munit.drawing import draw_variants

        with torch.inference_mode():
            return draw_variants(self.makers, to_float(feeds[IMAGE]), feeds[NOISE], sampler.settled_strength)

    def export(self, folder: Path, sampler: SamplerSettings, scratch: Path) -> Path:
        from ops.generators.munit.export import export_munit

        return export_munit(self.makers, self.config, sampler, folder, scratch)
