"""Export kind `instance` to ONNX: the flow's network, the encoder, and the sampler that is unrolled from both."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor, nn

from ops.generators.folder import ENCODER, NET
from ops.generators.instance.flow import InstanceFlow
from ops.generators.instance.hiding import tell_symbols
from ops.generators.instance.network import Encoder, FeatureUNet, InstanceNetworks
from ops.generators.instance.sizes import Shape
from ops.generators.onnx.export import write_sampler
from ops.generators.onnx.graph import Symbol, append
from ops.generators.onnx.modules import export_module
from ops.generators.stored_network import save_network
from ops.recipe.sampler import SamplerSettings


class Encoding(nn.Module):
    """Images in -1..1 to features."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, image: Tensor) -> Tensor:
        return self.encoder.encode(image)


def export_instance(
    maths: InstanceFlow,
    networks: InstanceNetworks,
    config: dict[str, Any],
    sampler: SamplerSettings,
    folder: Path,
    scratch: Path,
) -> Path:
    """Write the whole generator directory: config, weights and graphs; returns the sampler's path.

    The networks' graphs take the exporter many seconds; they are reused if `scratch` holds them.
    """
    shape, features = (config["channels"], config["height"], config["width"]), config["features"]
    if not (scratch / NET).exists():
        export_flow(networks.flow, shape, features, scratch / NET)
    if not (scratch / ENCODER).exists():
        example = (torch.zeros(3, *shape),)
        export_module(
            Encoding(networks.encoder), example, inputs=("image",), outputs=("features",), path=scratch / ENCODER
        )
    save_network(folder, networks, config)
    for name in (NET, ENCODER):
        shutil.copyfile(scratch / name, folder / name)
    encoder, strength = onnx.load(folder / ENCODER).graph, sampler.settled_strength or 0.0

    def tell(noise: Symbol, image: Symbol) -> Symbol:
        found = append(encoder, "encoder/", image)
        return tell_symbols(found, noise, features, math.prod(shape), strength)

    return write_sampler(maths, folder / NET, config, sampler, folder, tell=tell)


def export_flow(flow: FeatureUNet, shape: Shape, features: int, path: Path) -> None:
    """Write the network: `x` [n, C, H, W], `t` [n], `told` [n, features + 1] to `output` [n, C, H, W]."""
    example = (torch.zeros(3, *shape), torch.zeros(3), torch.zeros(3, features + 1))
    export_module(flow, example, inputs=("x", "t", "told"), outputs=("output",), path=path)
