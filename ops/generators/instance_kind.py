"""Kind `instance`, a prior: another image with the features of a seed image, by a flow that is told features.

Modules that compute are imported inside functions, so that kinds can be named without loading torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ops.generators.folder import find_fastest
from ops.generators.instance.flow import InstanceFlow
from ops.generators.instance.sizes import check_shape
from ops.generators.protocol import Cost, Fitting, Generator
from ops.recipe.instance import InstanceSettings
from ops.recipe.sampler import SamplerSettings

if TYPE_CHECKING:
    from torch import Tensor

    from ops.generators.drawers import DrawerSpec
    from ops.generators.feature_network import FeatureNetwork
    from ops.generators.imaginable import OpenedPrior
    from ops.generators.instance.network import InstanceNetworks

MATHS = InstanceFlow()


@dataclass(frozen=True)
class InstanceKind:
    """The operations of the kind."""

    name: ClassVar[str] = MATHS.name

    def check(
        self, settings: InstanceSettings, root: Path, class_names: Sequence[str], shape: tuple[int, int, int]
    ) -> None:
        """UserError for images that are too small for the encoder or its features."""
        check_shape(settings.encoder, shape)

    def fit(self, settings: InstanceSettings, fitting: Fitting) -> dict[str, Any]:
        from ops.generators.instance.fitting import fit_instance

        return fit_instance(MATHS, settings, fitting)

    def load(self, folder: Path) -> Generator:
        from ops.generators.instance.network import build_networks
        from ops.generators.stored_network import load_network

        return InstanceGenerator(*load_network(folder, build_networks))

    def find_drawer(self, folder: Path) -> DrawerSpec:
        from ops.generators.onnx.engine import OnnxFile

        return OnnxFile(find_fastest(folder))

    def estimate(
        self,
        settings: InstanceSettings,
        sampler: SamplerSettings,
        shape: tuple[int, int, int],
        classes: int,
        root: Path,
    ) -> Cost:
        from ops.generators.instance.cost import estimate_instance

        return estimate_instance(MATHS, settings, sampler, shape)

    def guess(
        self,
        settings: InstanceSettings,
        sampler: SamplerSettings,
        shape: tuple[int, int, int],
        root: Path,
        rate: float,
        workers: int,
    ) -> Cost:
        from ops.generators.instance.guessing import guess_instance

        return guess_instance(MATHS, settings, sampler, shape, rate, workers)

    def build_encoder(self, config: dict[str, Any]) -> FeatureNetwork:
        from ops.generators.instance.features import build_features

        return build_features(config)

    def load_encoder(self, folder: Path) -> tuple[FeatureNetwork, dict[str, Any]]:
        from ops.generators.instance.features import load_features

        return load_features(folder)

    def count_encoding(self, settings: InstanceSettings, shape: tuple[int, int, int]) -> float:
        from ops.generators.instance.guessing import count_products

        return count_products(settings.encoder, shape)

    def open_prior(self, folder: Path, sampler: SamplerSettings) -> OpenedPrior:
        """See `ops.generators.imaginable`, also for the next one."""
        from ops.generators.instance.instance_prior import open_instance_prior
        from ops.generators.instance.network import build_networks
        from ops.generators.stored_network import load_network

        networks, config = load_network(folder, build_networks)
        shape = config["channels"], config["height"], config["width"]
        return open_instance_prior(MATHS, networks, shape, config["features"], sampler)

    def weigh_decoding(
        self, settings: InstanceSettings, sampler: SamplerSettings, shape: tuple[int, int, int], root: Path
    ) -> float:
        """The solver's share of the products of encoder and solver."""
        from ops.generators.instance.guessing import weigh_flow

        return weigh_flow(MATHS, settings, sampler, shape)


@dataclass(frozen=True)
class InstanceGenerator:
    """Trained networks. Gradients pass through both."""

    networks: InstanceNetworks
    config: dict[str, Any]

    def sample(self, feeds: Mapping[str, Tensor], sampler: SamplerSettings) -> Tensor:
        from ops.generators.instance.drawing import draw_variants

        return draw_variants(MATHS, self.networks.encoder, self.networks.flow, feeds, sampler)

    def export(self, folder: Path, sampler: SamplerSettings, scratch: Path) -> Path:
        from ops.generators.instance.export import export_instance

        return export_instance(MATHS, self.networks, self.config, sampler, folder, scratch)
