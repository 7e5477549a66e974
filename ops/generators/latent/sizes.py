"""How large latents are, by the size of the images. It loads nothing that computes."""

from __future__ import annotations

import math

from ops.errors import UserError
from ops.recipe.latent import MOST_HALVINGS, AutoencoderSettings

LEAST_SIDE = 8  # the network with random weights, whose maps are compared, sees no smaller images
LEAST_PLACES = 2  # of a side of the latents
LEAST_HALVINGS = 2  # where nothing else is asked for: with one, latents of grey images are as large as the images
MOST_GROWTH = 4  # times the width, at the lowest resolutions
PLACES = 16  # of a side of the latents, at most, where nothing else is asked for

Shape = tuple[int, int, int]
"""(channels, height, width)."""


def find_halvings(settings: AutoencoderSettings, shape: Shape) -> int:
    """How often the sides of images of `shape` are halved: so that the shorter one has at most 16 places."""
    if settings.halvings is not None:
        return settings.halvings
    by_size = math.ceil(math.log2(min(shape[1:]) / PLACES))
    return max(LEAST_HALVINGS, min(MOST_HALVINGS, by_size))


def find_latent_shape(settings: AutoencoderSettings, shape: Shape) -> Shape:
    """Of the latents of images of `shape`; sides that are no multiple are padded first."""
    factor = 2 ** find_halvings(settings, shape)
    return settings.channels, math.ceil(shape[1] / factor), math.ceil(shape[2] / factor)


def list_widths(width: int, halvings: int) -> list[int]:
    """Channels of the autoencoder at each resolution, from half of the images' to that of the latents."""
    return [width * min(2**level, MOST_GROWTH) for level in range(halvings)]


def check_shape(settings: AutoencoderSettings, shape: Shape, section: str = "generator") -> None:
    """UserError for images of `shape` that are too small for these settings, which are in this section of a recipe."""
    side, halvings = min(shape[1:]), find_halvings(settings, shape)
    if side < LEAST_SIDE:
        raise UserError(f"kind: latent needs images of at least {LEAST_SIDE} pixels a side; these have {side}")
    possible = [h for h in range(1, MOST_HALVINGS + 1) if math.ceil(side / 2**h) >= LEAST_PLACES]
    if halvings not in possible:
        raise UserError(
            f"{section}.autoencoder.halvings {halvings} leaves latents of one place for {side} pixels a side; at most"
            f" {max(possible)} are possible"
        )
    latent = find_latent_shape(settings, shape)
    if math.prod(latent) > math.prod(shape):  # noise of the images' shape would not be enough, and nothing be gained
        raise UserError(
            f"latents of {math.prod(latent)} numbers are larger than the images, which have {math.prod(shape)}; raise"
            f" {section}.autoencoder.halvings or lower {section}.autoencoder.channels"
        )
