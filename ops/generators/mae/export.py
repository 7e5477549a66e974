"""Export kind `mae` to ONNX: the sampler, which is alone enough, and the decoder of latents."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import Tensor, nn

from ops.files.storage import replace_file
from ops.generators.folder import DECODER, SAMPLER
from ops.generators.mae.drawing import Variation
from ops.generators.mae.network import Mae
from ops.generators.onnx.metadata import describe_sampler
from ops.generators.onnx.modules import export_module
from ops.generators.stored_network import save_network
from ops.recipe.sampler import SamplerSettings


class Decoding(nn.Module):
    """Standardised latents to images in -1..1, not clamped."""

    def __init__(self, mae: Mae) -> None:
        super().__init__()
        self.mae = mae

    def forward(self, latent: Tensor) -> Tensor:
        return self.mae.decode(latent)


def export_mae(mae: Mae, config: dict[str, Any], sampler: SamplerSettings, folder: Path, scratch: Path) -> Path:
    """Write the whole generator directory: config, weights and graphs; returns the sampler's path.

    The graphs take the exporter many seconds; they are reused if `scratch` holds them.
    """
    channels, height, width = shape = config["channels"], config["height"], config["width"]
    strength = sampler.settled_strength or 0.0
    if not (scratch / DECODER).exists():
        example = (torch.zeros(3, *mae.mean.shape),)
        export_module(Decoding(mae), example, inputs=("latent",), outputs=("image",), path=scratch / DECODER)
    raw = scratch / f"sampler_at_{strength:g}.onnx"
    if not raw.exists():
        given = torch.zeros(3, *shape), torch.zeros(3, height, width, channels, dtype=torch.uint8)
        variation = Variation(mae, tuple(config["hidden"]), strength)
        export_module(variation, given, inputs=("noise", "image"), outputs=("variant",), path=raw)
    save_network(folder, mae, config)
    shutil.copyfile(scratch / DECODER, folder / DECODER)
    model = onnx.load(raw)
    describe_sampler(
        model,
        kind=config["kind"],
        class_names=config["class_names"],
        shape=shape,
        evaluations="1",
        strength=str(strength),
    )
    with replace_file(folder / SAMPLER) as temporary:
        onnx.save(model, str(temporary))
    return folder / SAMPLER
