"""How large latents are by the size of the images, and which images and settings are refused in one sentence."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops.errors import UserError
from ops.generators.latent.sizes import check_shape, find_latent_shape, list_widths
from ops.generators.registry import KINDS
from ops.recipe.kinds import PRIORS
from ops.recipe.latent import AutoencoderSettings, LatentSettings


@pytest.mark.parametrize(
    ("shape", "latent"),
    [
        ((1, 28, 28), (4, 7, 7)),
        ((3, 32, 32), (4, 8, 8)),
        ((3, 64, 64), (4, 16, 16)),
        ((3, 65, 66), (4, 9, 9)),
        ((3, 128, 96), (4, 16, 12)),
        ((3, 256, 256), (4, 16, 16)),
        ((3, 18, 13), (4, 5, 4)),
    ],
)
def test_latents_have_at_most_16_places_a_side_and_cover_the_whole_image(
    shape: tuple[int, int, int], latent: tuple[int, int, int]
) -> None:
    assert find_latent_shape(AutoencoderSettings(), shape) == latent
    check_shape(AutoencoderSettings(), shape)


@given(st.sampled_from([1, 3]), st.integers(8, 300), st.integers(8, 300))
def test_no_image_of_8_pixels_a_side_or_more_is_refused_by_default(channels: int, height: int, width: int) -> None:
    shape = channels, height, width
    check_shape(AutoencoderSettings(), shape)
    assert math.prod(find_latent_shape(AutoencoderSettings(), shape)) <= math.prod(shape)


@pytest.mark.parametrize(
    ("settings", "shape", "sentence"),
    [
        ({}, (3, 64, 7), "kind: latent needs images of at least 8 pixels a side; these have 7"),
        ({"halvings": 4}, (3, 16, 16), r"halvings 4 leaves latents of one place for 16 .* at most 3 are possible"),
        ({"halvings": 1}, (1, 29, 29), r"latents of 900 numbers are larger than the images, which have 841; raise"),
        ({"channels": 32}, (1, 28, 28), r"latents of 1568 numbers are larger than the images, which have 784"),
    ],
)
def test_images_that_cannot_be_encoded_are_refused_before_anything_is_computed(
    settings: dict[str, int], shape: tuple[int, int, int], sentence: str
) -> None:
    own = LatentSettings(autoencoder=AutoencoderSettings(**settings))
    with pytest.raises(UserError, match=sentence):
        KINDS["latent"].check(own, Path(), ["a"], shape)


def test_a_prior_is_told_about_its_own_key() -> None:
    own = PRIORS["latent"].model_validate({"pool": "more", "autoencoder": {"halvings": 4}})
    with pytest.raises(UserError, match=r"^prior\.autoencoder\.halvings 4 leaves"):
        KINDS["latent"].check(own, Path(), [], (3, 16, 16))


def test_channels_double_twice_and_then_stay() -> None:
    assert list_widths(32, 4) == [32, 64, 128, 128]
