"""The networks of kind `instance`: an encoder of images to features, and the flow that is told them.

Images are float [n, C, H, W] in -1..1 here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ops.generators.denoising.network import ConditionalUNet, read_unet
from ops.generators.instance.sizes import Shape, list_widths
from ops.generators.latent.network import GROUPS, Block
from ops.recipe.instance import EncoderSettings


class Encoder(nn.Module):
    """A small residual network, and the scale on which its features are standardised.

    Sides that are odd are padded by replication.

    Parameters
    ----------
    shape : of the images. widths : channels at each resolution, from half of the images' on. features : of an image.
    """

    mean: Tensor
    whitening: Tensor

    def __init__(self, shape: Shape, *, widths: Sequence[int], features: int) -> None:
        super().__init__()
        channels, height, width = shape
        self.pad_height, self.pad_width = height % 2, width % 2
        layers: list[nn.Module] = [nn.Conv2d(4 * channels, widths[0], 3, padding=1), Block(widths[0])]
        for before, after in pairwise(widths):
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), Block(after)]
        self.layers = nn.Sequential(*layers, nn.GroupNorm(GROUPS, widths[-1]), nn.SiLU())
        places = math.prod(math.ceil(side / 2 ** len(widths)) for side in (height, width))
        self.summary = nn.Linear(widths[-1] * places, widths[-1])
        self.register_buffer("mean", torch.zeros(widths[-1]))
        self.register_buffer("whitening", torch.eye(widths[-1], features))

    def see(self, x: Tensor) -> Tensor:
        """A summary of the last maps, float [n, widths[-1]]."""
        if self.pad_height or self.pad_width:
            x = F.pad(x, (0, self.pad_width, 0, self.pad_height), mode="replicate")
        seen: Tensor = self.summary(self.layers(F.pixel_unshuffle(x, 2)).flatten(1))
        return seen.float()

    def encode(self, x: Tensor) -> Tensor:
        """Features float [n, d]. Over the pool each has mean 0 and variance 1, and no two are correlated."""
        return (self.see(x) - self.mean) @ self.whitening


class FeatureUNet(ConditionalUNet):
    """The U-Net of all kinds that denoise, told features and their strength ([n, features + 1]) in a label's place."""

    def __init__(self, features: int, **keys: Any) -> None:
        super().__init__(labels=1, **keys)
        size = self.label.embedding_dim
        del self.label
        self.told = nn.Sequential(nn.Linear(features + 1, size), nn.SiLU(), nn.Linear(size, size))

    def embed(self, label: Tensor) -> Tensor:
        embedded: Tensor = self.told(label)
        return embedded


class InstanceNetworks(nn.Module):
    """What a generator's directory holds."""

    def __init__(self, encoder: Encoder, flow: FeatureUNet) -> None:
        super().__init__()
        self.encoder, self.flow = encoder, flow


def describe_encoder(settings: EncoderSettings, shape: Shape) -> dict[str, Any]:
    """The entries of config.json that describe the encoder for images of `shape`."""
    return {"features": settings.features, "encoder_widths": list_widths(settings, shape)}


def build_encoder(config: dict[str, Any]) -> Encoder:
    """The encoder that a generator's config.json describes, newly initialised."""
    shape = (config["channels"], config["height"], config["width"])
    return Encoder(shape, widths=config["encoder_widths"], features=config["features"])


def build_flow(config: dict[str, Any]) -> FeatureUNet:
    """The flow's network that a generator's config.json describes, newly initialised."""
    return FeatureUNet(config["features"], **read_unet(config))


def build_networks(config: dict[str, Any]) -> InstanceNetworks:
    """Both."""
    return InstanceNetworks(build_encoder(config), build_flow(config))
