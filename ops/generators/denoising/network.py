"""The network of every denoising kind: diffusers' U-Net, conditioned on a time and a label.

This module does not know what the output means (a velocity, noise, a denoised image; the kind does) or how the network
is trained (`learning` does). Images are float [n, C, H, W] in -1..1 here.
"""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from diffusers import UNet2DModel
from torch import Tensor, nn

from ops.generators.denoising.augmentation import count_conditions
from ops.generators.folder import is_labelled
from ops.recipe.denoisers import DenoiserSettings
from ops.training.dropout import replace_dropout

TIME_SCALE = 1000.0  # UNet2DModel's sinusoidal embedding expects timesteps of this magnitude


class ConditionalUNet(nn.Module):
    """diffusers' U-Net behind a pixel-unshuffle, for any height, width and number of channels.

    Working at 1/`unshuffle` of the resolution is 2-4x cheaper and, at equal training time, better on small images.
    Sides that are not a multiple are padded by replication and cropped back.

    Parameters
    ----------
    channels, height, width : of the images.
    labels : number of label embeddings: one per class, and one more where training drops labels.
    widths : channels per resolution level, all divisible by 8 (GroupNorm).
    dropout : probability inside the residual blocks, in training only.
    conditions : numbers per image that describe its augmentation; 0 for none.
    """

    def __init__(
        self,
        *,
        channels: int,
        height: int,
        width: int,
        labels: int,
        widths: tuple[int, ...] = (32, 64),
        layers_per_block: int = 1,
        unshuffle: int = 2,
        dropout: float = 0.0,
        conditions: int = 0,
    ) -> None:
        super().__init__()
        self.unshuffle = unshuffle
        multiple = unshuffle * 2 ** (len(widths) - 1)
        self.pad_height, self.pad_width = -height % multiple, -width % multiple
        inner = channels * unshuffle**2
        self.unet = UNet2DModel(
            sample_size=((height + self.pad_height) // unshuffle, (width + self.pad_width) // unshuffle),
            in_channels=inner,
            out_channels=inner,
            block_out_channels=tuple(widths),
            layers_per_block=layers_per_block,
            down_block_types=("DownBlock2D",) * len(widths),
            up_block_types=("UpBlock2D",) * len(widths),
            add_attention=False,
            norm_num_groups=8,
            dropout=dropout,
            class_embed_type="identity",
        )
        replace_dropout(self.unet)
        size = 4 * widths[0]  # of UNet2DModel's time embedding, to which the label's embedding is added
        self.label = nn.Embedding(labels, size)
        # No bias: an image that is not augmented then adds nothing, so the exported graph needs no such input.
        self.condition = nn.Linear(conditions, size, bias=False) if conditions else None

    def forward(self, x: Tensor, t: Tensor, label: Tensor, condition: Tensor | None = None) -> Tensor:
        """Output [n, C, H, W] at images `x`, times `t` in 0..1 [n], labels [n] and conditions [n, k]."""
        height, width = x.shape[-2:]
        embedded = self.embed(label)
        if self.condition is not None and condition is not None:
            embedded = embedded + self.condition(condition)
        if self.pad_height or self.pad_width:
            x = F.pad(x, (0, self.pad_width, 0, self.pad_height), mode="replicate")
        x = F.pixel_unshuffle(x, self.unshuffle)
        output = self.unet(x, t * TIME_SCALE, embedded).sample
        return F.pixel_shuffle(output, self.unshuffle)[..., :height, :width]

    def embed(self, label: Tensor) -> Tensor:
        """What is added to the time's embedding, [n, size]."""
        embedded: Tensor = self.label(label)
        return embedded


def build_network(config: dict[str, Any]) -> ConditionalUNet:
    """The network that a generator's config.json describes, newly initialised."""
    labels = (len(config["class_names"]) if is_labelled(config) else 1) + config["drops_labels"]
    return ConditionalUNet(labels=labels, **read_unet(config))


def read_unet(config: dict[str, Any]) -> dict[str, Any]:
    """The arguments of `ConditionalUNet` but `labels`, from a generator's config.json."""
    keys = ("channels", "height", "width", "layers_per_block", "unshuffle", "dropout", "conditions")
    return {"widths": tuple(config["widths"]), **{key: config[key] for key in keys}}


def describe_network(settings: DenoiserSettings, channels: int) -> dict[str, Any]:
    """The entries of config.json that describe the network of these settings for images of so many channels."""
    return {
        "widths": list(settings.widths), "layers_per_block": settings.layers_per_block,
        "unshuffle": settings.unshuffle, "dropout": settings.dropout, "drops_labels": settings.label_dropout > 0,
        "conditions": count_conditions(channels) if settings.augment else 0,
    }  # fmt: skip
