"""How large a masked autoencoder is by the size of the images, and which images are refused. It loads nothing that
computes.

A network is described by keys of the names that `ViTMAEConfig` of transformers gives them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from ops.errors import UserError
from ops.recipe.mae import MaeSettings

LEAST_SIDE = 8
PLACES = 8  # of a side, at most, where no patch is asked for
GROWTH = 4  # of a layer's hidden part, times the width of its tokens
EPSILON = 1e-6  # of a layer norm, as published
STATISTICS = 2  # numbers of a token that hold its patch's mean and deviation, where patches are normalised

Shape = tuple[int, int, int]
"""(channels, height, width)."""


def find_patch(settings: MaeSettings, shape: Shape) -> int:
    """The side of a patch: a power of two with which the longer side has at most 8 of them."""
    if settings.patch is not None:
        return settings.patch
    return max(2, 2 ** math.ceil(math.log2(max(shape[1:]) / PLACES)))


def describe_network(settings: MaeSettings, shape: Shape) -> dict[str, Any]:
    """The network that is trained on images of `shape`; sides that are no multiple of the patch are padded first."""
    channels, height, width = shape
    patch, encoder, decoder = find_patch(settings, shape), settings.encoder, settings.decoder
    return {
        "image_size": [height + -height % patch, width + -width % patch],
        "patch_size": patch,
        "num_channels": channels,
        "hidden_size": encoder.width,
        "num_hidden_layers": encoder.layers,
        "num_attention_heads": encoder.heads,
        "intermediate_size": GROWTH * encoder.width,
        "decoder_hidden_size": decoder.width,
        "decoder_num_hidden_layers": decoder.layers,
        "decoder_num_attention_heads": decoder.heads,
        "decoder_intermediate_size": GROWTH * decoder.width,
        "qkv_bias": True,
        "layer_norm_eps": EPSILON,
        "norm_pix_loss": settings.normalise,
    }


def find_grid(network: Mapping[str, Any]) -> tuple[int, int]:
    """Rows and columns of patches."""
    height, width = network["image_size"]
    return height // network["patch_size"], width // network["patch_size"]


def find_latent_shape(network: Mapping[str, Any]) -> tuple[int, int]:
    """(tokens, numbers) of an image's latent: the class token and one for each patch."""
    statistics = STATISTICS if network["norm_pix_loss"] else 0
    return 1 + math.prod(find_grid(network)), network["decoder_hidden_size"] + statistics


def check_shape(settings: MaeSettings, shape: Shape) -> None:
    """UserError for images of `shape` that a network trained with these settings can't rebuild from parts."""
    side, patch = min(shape[1:]), find_patch(settings, shape)
    if side < LEAST_SIDE:
        raise UserError(f"kind: mae needs images of at least {LEAST_SIDE} pixels a side; these have {side}")
    if patch >= side:
        raise UserError(
            f"prior.patch {patch} leaves one patch in a side of {side} pixels; at most {side - 1} is possible"
        )
