"""Kind `latent`: a small autoencoder, and a class-conditional rectified flow among its latents.

Modules that compute are imported inside functions, so that kinds can be named without loading torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ops.generators.denoiser_kind import FlowKind
from ops.generators.kinds.flow import Flow
from ops.generators.latent.sizes import check_shape
from ops.generators.protocol import Cost, Fitting, Generator
from ops.recipe.denoisers import DenoiserSettings
from ops.recipe.latent import LatentSettings
from ops.recipe.prior import PoolSettings
from ops.recipe.sampler import SamplerSettings

if TYPE_CHECKING:
    from torch import Tensor

    from ops.generators.describable import OpenedFeatures
    from ops.generators.feature_network import FeatureNetwork
    from ops.generators.imaginable import OpenedPrior
    from ops.generators.latent.network import LatentFlow
    from ops.generators.latent.spaces import LatentSpace


@dataclass(frozen=True)
class LatentKind(FlowKind):
    """The flow's operations, with an autoencoder around them."""

    @property
    def name(self) -> str:
        return "latent"

    def check(
        self, settings: DenoiserSettings, root: Path, class_names: Sequence[str], shape: tuple[int, int, int]
    ) -> None:
        """UserError for images that are too small, and for latents that are too large."""
        section = "prior" if isinstance(settings, PoolSettings) else "generator"
        check_shape(_narrow(settings).autoencoder, shape, section)

    def fit(self, settings: DenoiserSettings, fitting: Fitting) -> dict[str, Any]:
        from ops.generators.latent.fitting import fit_latent

        return fit_latent(self.maths, _narrow(settings), fitting, self.refine)

    def load(self, folder: Path) -> Generator:
        from ops.generators.latent.network import build_latent_flow
        from ops.generators.stored_network import load_network

        whole, config = load_network(folder, build_latent_flow)
        return LatentGenerator(self.maths, whole, config)

    def estimate(
        self,
        settings: DenoiserSettings,
        sampler: SamplerSettings,
        shape: tuple[int, int, int],
        classes: int,
        root: Path,
    ) -> Cost:
        from ops.generators.latent.cost import estimate_latent

        return estimate_latent(self.maths, _narrow(settings), sampler, shape, classes, self.estimate_refining)

    def guess(
        self,
        settings: DenoiserSettings,
        sampler: SamplerSettings,
        shape: tuple[int, int, int],
        root: Path,
        rate: float,
        workers: int,
    ) -> Cost:
        from ops.generators.latent.guessing import guess_latent

        return guess_latent(self.maths, _narrow(settings), sampler, shape, rate, workers, self.estimate_refining)

    def open_features(self, folder: Path, seed: int) -> OpenedFeatures:
        """Of the flow among the latents."""
        from ops.generators.denoising.features import DenoiserFeatures, find_unlabelled

        generator = self.load(folder)
        assert isinstance(generator, LatentGenerator)
        label = find_unlabelled(generator.config)
        return DenoiserFeatures(self.maths, generator.whole.flow, label, seed, space=generator.space)

    def open_prior(self, folder: Path, sampler: SamplerSettings) -> OpenedPrior:
        from ops.generators.latent.latent_prior import open_latent_prior

        generator = self.load(folder)
        assert isinstance(generator, LatentGenerator)
        return open_latent_prior(self.maths, generator.whole, generator.config, folder, sampler)

    def weigh_decoding(
        self, settings: DenoiserSettings, sampler: SamplerSettings, shape: tuple[int, int, int], root: Path
    ) -> float:
        """The decoder's share of the products of encoder, flow and decoder."""
        from ops.generators.latent.guessing import weigh_decoder

        return weigh_decoder(self.maths, _narrow(settings), sampler, shape)

    def build_encoder(self, config: dict[str, Any]) -> FeatureNetwork:
        from ops.generators.latent.features import build_features

        return build_features(config)

    def load_encoder(self, folder: Path) -> tuple[FeatureNetwork, dict[str, Any]]:
        from ops.generators.latent.features import load_features

        return load_features(folder)

    def count_encoding(self, settings: DenoiserSettings, shape: tuple[int, int, int]) -> float:
        from ops.generators.latent.guessing import count_products

        return count_products(_narrow(settings).autoencoder, shape).encode


@dataclass(frozen=True)
class LatentGenerator:
    """Trained networks, and the mathematics that draws with them.

    `whole.autoencoder` encodes images and decodes latents; gradients pass through both.
    """

    maths: Flow
    whole: LatentFlow
    config: dict[str, Any]

    def sample(self, feeds: Mapping[str, Tensor], sampler: SamplerSettings) -> Tensor:
        from ops.generators.denoising.sampling import sample_pixels

        return sample_pixels(self.maths, self.whole.flow, feeds, sampler, self.space)

    @property
    def space(self) -> LatentSpace:
        """Where the flow denoises."""
        from ops.generators.latent.spaces import LatentSpace

        channels, height, width = self.config["latent_shape"]
        return LatentSpace(self.whole.autoencoder, (channels, height, width))

    def export(self, folder: Path, sampler: SamplerSettings, scratch: Path) -> Path:
        from ops.generators.latent.export import export_latent

        return export_latent(self.maths, self.whole, self.config, sampler, folder, scratch)


def _narrow(settings: DenoiserSettings) -> LatentSettings:
    assert isinstance(settings, LatentSettings)
    return settings
