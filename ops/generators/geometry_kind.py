"""Kind `geometry`: variants of seed images, moved as widely as the training images allow; nothing else is learnt.

Modules that compute are imported inside functions, so that kinds can be named without loading torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ops.errors import DamagedData, UserError
from ops.generators.feeds import IMAGE, NOISE
from ops.generators.folder import CONFIG, find_sampler, read_config
from ops.generators.protocol import Cost, Fitting, Generator
from ops.recipe.geometry import GeometrySettings
from ops.recipe.sampler import SamplerSettings

if TYPE_CHECKING:
    from torch import Tensor

    from ops.generators.drawers import DrawerSpec
    from ops.generators.geometry.moves import Moves

LEAST_SIDE = 8  # of the images whose features can be compared, in pixels


@dataclass(frozen=True)
class GeometryKind:
    """The operations of the kind."""

    name: ClassVar[str] = "geometry"

    def check(
        self, settings: GeometrySettings, root: Path, class_names: Sequence[str], shape: tuple[int, int, int]
    ) -> None:
        """UserError for images that are too small to be compared."""
        _, height, width = shape
        if min(height, width) < LEAST_SIDE:
            raise UserError(
                f"images of {height} x {width} pixels are too small for generator.kind: geometry, which needs"
                f" {LEAST_SIDE} a side"
            )

    def fit(self, settings: GeometrySettings, fitting: Fitting) -> dict[str, Any]:
        from ops.generators.geometry.fitting import fit_geometry

        return fit_geometry(settings, fitting)

    def load(self, folder: Path) -> Generator:
        from ops.generators.geometry.moves import Moves, Ranges

        config = read_config(folder)
        try:
            shape = (config["channels"], config["height"], config["width"])
            return GeometryGenerator(Moves(shape, Ranges(**config["ranges"])), config)
        except (KeyError, TypeError) as error:
            raise DamagedData(f"{folder / CONFIG} does not describe the moves: {error}") from None

    def find_drawer(self, folder: Path) -> DrawerSpec:
        from ops.generators.onnx.engine import OnnxFile

        return OnnxFile(find_sampler(folder))

    def estimate(
        self,
        settings: GeometrySettings,
        sampler: SamplerSettings,
        shape: tuple[int, int, int],
        classes: int,
        root: Path,
    ) -> Cost:
        from ops.generators.geometry.cost import estimate_geometry

        return estimate_geometry(settings, shape)

    def guess(
        self,
        settings: GeometrySettings,
        sampler: SamplerSettings,
        shape: tuple[int, int, int],
        root: Path,
        rate: float,
        workers: int,
    ) -> Cost:
        from ops.generators.geometry.guessing import guess_geometry

        return guess_geometry(settings, shape, rate)


@dataclass(frozen=True)
class GeometryGenerator:
    """The moves that were found."""

    moves: Moves
    config: dict[str, Any]

    def sample(self, feeds: Mapping[str, Tensor], sampler: SamplerSettings) -> Tensor:
        import torch

        with torch.inference_mode():
            moved: Tensor = self.moves(feeds[IMAGE], feeds[NOISE])
        return moved

    def export(self, folder: Path, sampler: SamplerSettings, scratch: Path) -> Path:
        from ops.generators.geometry.export import export_geometry

        return export_geometry(self.moves, self.config, folder)
