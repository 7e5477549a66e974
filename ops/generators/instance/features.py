"""The encoder of kind `instance` as a network of its own: what it sees in an image, before the scale of the flow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

from ops.generators.feature_network import FeatureNetwork
from ops.generators.instance.network import Encoder, build_encoder, build_networks
from ops.generators.stored_network import load_network

DESCRIBED_BY = ("channels", "height", "width", "features", "encoder_widths")  # keys of config.json


class InstanceFeatures(FeatureNetwork):
    """Images float [n, C, H, W] in -1..1 to the summary that views are compared by, [n, feature_size].

    It has more numbers than the features that the flow is told, which are its widest components.
    """

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.feature_size = len(encoder.mean)

    def forward(self, x: Tensor) -> Tensor:
        return self.encoder.see(x)


def build_features(config: dict[str, Any]) -> InstanceFeatures:
    """From a config, newly initialised."""
    return InstanceFeatures(build_encoder(config))


def load_features(folder: Path) -> tuple[InstanceFeatures, dict[str, Any]]:
    """Of a trained generator's directory, and what it is built from; raises as `load_network`."""
    networks, config = load_network(folder, build_networks)
    return InstanceFeatures(networks.encoder), {key: config[key] for key in DESCRIBED_BY}
