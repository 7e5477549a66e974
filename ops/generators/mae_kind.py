"""Kind `mae`, a prior: variants of a seed image by a masked autoencoder, from some of its patches or changed tokens.

Modules that compute are imported inside functions, so that kinds can be named without loading torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from ops.generators.folder import ORIGIN, find_fastest
from ops.generators.mae.sizes import check_shape, describe_network
from ops.generators.mae.weights import check_weights_folder, identify_weights
from ops.generators.protocol import Cost, Fitting, Generator
from ops.recipe.mae import MaeSettings
from ops.recipe.sampler import SamplerSettings

if TYPE_CHECKING:
    from torch import Tensor

    from ops.generators.drawers import DrawerSpec
    from ops.generators.imaginable import OpenedPrior
    from ops.generators.mae.network import Mae


@dataclass(frozen=True)
class MaeKind:
    """The operations of the kind."""

    name: ClassVar[str] = "mae"

    def check(self, settings: MaeSettings, root: Path, class_names: Sequence[str], shape: tuple[int, int, int]) -> None:
        """UserError for images that are too small; for weights from elsewhere as `check_weights_folder`, and for ones
        of another hash."""
        if settings.weights is None:
            check_shape(settings, shape)
        else:
            identify_weights(check_weights_folder(settings.weights, root, shape), settings.weights, root)

    def fit(self, settings: MaeSettings, fitting: Fitting) -> dict[str, Any]:
        from ops.generators.mae.fitting import fit_mae

        return fit_mae(settings, fitting)

    def load(self, folder: Path) -> Generator:
        return self._load(folder)

    def find_drawer(self, folder: Path) -> DrawerSpec:
        from ops.generators.onnx.engine import OnnxFile

        return OnnxFile(find_fastest(folder))

    def estimate(
        self, settings: MaeSettings, sampler: SamplerSettings, shape: tuple[int, int, int], classes: int, root: Path
    ) -> Cost:
        from ops.generators.mae.cost import estimate_mae

        return estimate_mae(settings, *self._describe(settings, shape, root), shape)

    def guess(
        self,
        settings: MaeSettings,
        sampler: SamplerSettings,
        shape: tuple[int, int, int],
        root: Path,
        rate: float,
        workers: int,
    ) -> Cost:
        from ops.generators.mae.guessing import guess_mae

        return guess_mae(settings, self._describe(settings, shape, root)[0], rate, workers)

    def open_prior(self, folder: Path, sampler: SamplerSettings) -> OpenedPrior:
        from ops.generators.mae.mae_prior import open_mae_prior

        generator = self._load(folder)
        return open_mae_prior(generator.mae, generator.config, folder, sampler)

    def weigh_decoding(
        self, settings: MaeSettings, sampler: SamplerSettings, shape: tuple[int, int, int], root: Path
    ) -> float:
        """The decoder's share of the products of encoder and decoder."""
        from ops.generators.mae.guessing import weigh_decoder

        return weigh_decoder(self._describe(settings, shape, root)[0])

    def _load(self, folder: Path) -> MaeGenerator:
        from ops.generators.mae.network import build_mae
        from ops.generators.stored_network import load_network

        return MaeGenerator(*load_network(folder, build_mae))

    def _describe(
        self, settings: MaeSettings, shape: tuple[int, int, int], root: Path
    ) -> tuple[dict[str, Any], dict[str, Any] | None]:
        """The network and its frame."""
        if settings.weights is None:
            return describe_network(settings, shape), None
        found = check_weights_folder(settings.weights, root, shape)
        return found.network, found.frame


@dataclass(frozen=True)
class MaeGenerator:
    """A trained network. Gradients pass through both halves."""

    mae: Mae
    config: dict[str, Any]

    def sample(self, feeds: Mapping[str, Tensor], sampler: SamplerSettings) -> Tensor:
        import torch

        from ops.generators.feeds import IMAGE, NOISE
        from ops.generators.mae.drawing import Variation

        variation = Variation(self.mae, tuple(self.config["hidden"]), sampler.settled_strength or 0.0)
        with torch.inference_mode():
            drawn: Tensor = variation(feeds[NOISE], feeds[IMAGE])
            return drawn

    def export(self, folder: Path, sampler: SamplerSettings, scratch: Path) -> Path:
        from ops.generators.mae.export import export_mae

        return export_mae(self.mae, self.config, sampler, folder, scratch)


def describe_origin(config: Mapping[str, Any]) -> dict[str, str]:
    """What a card says of weights that learnt elsewhere and lie in the generator's folder; empty where there are none.

    A generator of kind `prior` has the config of its prior.
    """
    origin = config.get(ORIGIN)
    if origin is None:
        return {}
    return {
        "weights": f"{origin['model']}, sha256 {origin['sha256']}",
        "licence of the weights, as their owner states it": origin["licence"],
    }
