"""Export kind `latent` to ONNX: the flow's network, encoder, decoder, and the sampler that is unrolled from them.

The sampler is alone enough; the other graphs serve those who search among latents and decode what they find.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor, nn

from ops.generators.folder import DECODER, ENCODER, NET
from ops.generators.kinds.flow import Flow
from ops.generators.latent.network import Autoencoder, LatentFlow
from ops.generators.latent.spaces import LatentGraphs
from ops.generators.onnx.export import export_net, write_sampler
from ops.generators.onnx.modules import export_module
from ops.generators.stored_network import save_network
from ops.recipe.sampler import SamplerSettings


class Encoding(nn.Module):
    """Images in -1..1 to standardised latents."""

    def __init__(self, autoencoder: Autoencoder) -> None:
        super().__init__()
        self.autoencoder = autoencoder

    def forward(self, image: Tensor) -> Tensor:
        return self.autoencoder.encode(image)


class Decoding(nn.Module):
    """Standardised latents to images in -1..1, not clamped."""

    def __init__(self, autoencoder: Autoencoder) -> None:
        super().__init__()
        self.autoencoder = autoencoder

    def forward(self, latent: Tensor) -> Tensor:
        return self.autoencoder.decode(latent)


def export_latent(
    maths: Flow, whole: LatentFlow, config: dict[str, Any], sampler: SamplerSettings, folder: Path, scratch: Path
) -> Path:
    """Write the whole generator directory: config, weights and graphs; returns the sampler's path.

    The networks' graphs take the exporter many seconds; they are reused if `scratch` holds them.
    """
    channels, height, width = config["latent_shape"]
    latent = channels, height, width
    export_parts(whole, (config["channels"], config["height"], config["width"]), latent, scratch)
    save_network(folder, whole, config)
    for name in (NET, ENCODER, DECODER):
        shutil.copyfile(scratch / name, folder / name)
    space = LatentGraphs(onnx.load(folder / ENCODER).graph, onnx.load(folder / DECODER).graph, latent)
    return write_sampler(maths, folder / NET, config, sampler, folder, space)


def export_parts(whole: LatentFlow, shape: tuple[int, int, int], latent: tuple[int, int, int], folder: Path) -> None:
    """Write the graphs of the flow's network, of `image` to `latent`, and of `latent` to `image`."""
    if not (folder / NET).exists():
        export_net(whole.flow, latent, folder / NET)
    for name, module, given, output, size in (
        (ENCODER, Encoding(whole.autoencoder), "image", "latent", shape),
        (DECODER, Decoding(whole.autoencoder), "latent", "image", latent),
    ):
        if not (folder / name).exists():
            export_module(module, (torch.zeros(3, *size),), inputs=(given,), outputs=(output,), path=folder / name)
