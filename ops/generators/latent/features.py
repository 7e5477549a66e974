"""The encoder of kind `latent` as a network of its own: the mean of an image's latent, place by place."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from torch import Tensor

from ops.generators.feature_network import FeatureNetwork
from ops.generators.latent.network import Autoencoder, build_autoencoder, build_latent_flow
from ops.generators.stored_network import load_network

DESCRIBED_BY = (  # keys of config.json
    "channels", "height", "width", "halvings", "latent_shape", "autoencoder_width", "autoencoder_blocks",
)  # fmt: skip


class LatentFeatures(FeatureNetwork):
    """Images float [n, C, H, W] in -1..1 to the numbers of their standardised latents, [n, feature_size].

    The decoder is dropped.
    """

    def __init__(self, autoencoder: Autoencoder, latent_shape: list[int]) -> None:
        super().__init__()
        del autoencoder.decoder
        self.autoencoder = autoencoder
        self.feature_size = math.prod(latent_shape)

    def forward(self, x: Tensor) -> Tensor:
        return self.autoencoder.encode(x).flatten(1)


def build_features(config: dict[str, Any]) -> LatentFeatures:
    """From a config, newly initialised."""
    return LatentFeatures(build_autoencoder(config), config["latent_shape"])


def load_features(folder: Path) -> tuple[LatentFeatures, dict[str, Any]]:
    """Of a trained generator's directory, and what it is built from; raises as `load_network`."""
    whole, config = load_network(folder, build_latent_flow)
    return LatentFeatures(whole.autoencoder, config["latent_shape"]), {key: config[key] for key in DESCRIBED_BY}
