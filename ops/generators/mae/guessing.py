"""Guess the cost of kind `mae` from how many products its network computes; nothing is timed or built.

A multiplication and an addition count as two products. It loads nothing that computes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ops.generators.denoising.guessing import PASSES, REST, STEP_SECONDS
from ops.generators.mae.sizes import find_grid
from ops.generators.protocol import Cost
from ops.recipe.mae import SCALED, MaeSettings


@dataclass(frozen=True)
class Products:
    """Products of each half for one image."""

    encode: float
    decode: float


def guess_mae(settings: MaeSettings, network: Mapping[str, Any], rate: float, workers: int) -> Cost:
    """The cost at `rate` products a second on each of `workers` cores."""
    whole, seen = count_products(network), count_products(network, find_visible(settings))
    step = STEP_SECONDS + PASSES * REST * settings.batch_size * (seen.encode + seen.decode) / (rate * workers)
    return add_scale(settings, step, whole.encode / rate, (whole.encode + whole.decode) / rate, workers)


def add_scale(settings: MaeSettings, step: float, encode: float, image: float, workers: int) -> Cost:
    """The cost from seconds of a step, of encoding an image and of a variant: images of the pool are encoded for the
    scale of latents, and encoded and decoded to see how near they come."""
    trained = 0.0 if settings.weights is not None else step
    return Cost(settings.steps * trained + SCALED * (encode + image) / workers, trained, image)


def find_visible(settings: MaeSettings) -> float:
    """The share of patches that the encoder sees in training, on average."""
    return 1 - sum(settings.mask) / 2


def weigh_decoder(network: Mapping[str, Any]) -> float:
    """The decoder's share of the products of a variant."""
    products = count_products(network)
    return products.decode / (products.encode + products.decode)


def count_products(network: Mapping[str, Any], visible: float = 1.0) -> Products:
    """For an image of which this share of patches is visible to the encoder."""
    places = math.prod(find_grid(network))
    width, narrow = network["hidden_size"], network["decoder_hidden_size"]
    pixels = network["patch_size"] ** 2 * network["num_channels"]

    def count_layers(half: str, tokens: float) -> float:
        own, inner = network[f"{half}hidden_size"], network[f"{half}intermediate_size"]
        layer = 2 * tokens * own * (4 * own + 2 * inner) + 4 * tokens**2 * own
        return float(network[f"{half}num_hidden_layers"] * layer)

    tokens = 1 + visible * places
    encode = 2 * places * pixels * width + count_layers("", tokens) + 2 * tokens * width * narrow
    decode = count_layers("decoder_", 1 + places) + 2 * (1 + places) * narrow * pixels
    return Products(encode, decode)
