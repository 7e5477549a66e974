"""How deep the encoder is by the size of the images, what it costs, and which images and pools are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from ops.errors import UserError
from ops.generators.instance.guessing import count_products
from ops.generators.instance.network import Encoder
from ops.generators.instance.sizes import Shape, check_pool, check_shape, list_places, list_widths
from ops.generators.registry import KINDS
from ops.recipe.instance import EncoderSettings, InstanceSettings


@pytest.mark.parametrize(
    ("shape", "widths", "places"),
    [
        ((1, 8, 8), [32], [16]),
        ((1, 28, 28), [32, 64, 128], [196, 49, 16]),
        ((3, 64, 64), [32, 64, 128, 128], [1024, 256, 64, 16]),
        ((3, 13, 10), [32, 64], [35, 12]),
        ((3, 128, 128), [32, 64, 128, 128], [4096, 1024, 256, 64]),
    ],
)
def test_the_maps_end_at_about_4_places_a_side(shape: Shape, widths: list[int], places: list[int]) -> None:
    assert list_widths(EncoderSettings(), shape) == widths and list_places(EncoderSettings(), shape) == places
    check_shape(EncoderSettings(features=20), shape)


@pytest.mark.parametrize(
    ("keys", "shape", "sentence"),
    [
        ({}, (3, 64, 7), "kind: instance needs images of at least 8 pixels a side; these have 7"),
        (
            {"features": 33},
            (3, 8, 8),
            r"features 33 is above the 32 channels in which the encoder ends for images of 8",
        ),
        ({"features": 33, "width": 64}, (1, 8, 8), r"features 33 is more than half of the 64 numbers of an image"),
    ],
)
def test_images_that_cannot_be_described_are_refused_before_anything_is_computed(
    keys: dict[str, Any], shape: Shape, sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence):
        KINDS["instance"].check(InstanceSettings(encoder=EncoderSettings(**keys)), Path(), (), shape)


def test_a_pool_without_more_images_than_features_is_refused() -> None:
    check_pool(EncoderSettings(features=8), 9)
    with pytest.raises(UserError, match=r"a pool of 8 images is too small for kind: instance with .*features 8: it"):
        check_pool(EncoderSettings(features=8), 8)


@pytest.mark.parametrize(("width", "shape"), [(16, (3, 64, 64)), (32, (1, 28, 28)), (8, (3, 13, 10))])
def test_products_are_those_that_torch_counts(width: int, shape: Shape) -> None:
    settings = EncoderSettings(width=width, features=8)
    encoder = Encoder(shape, widths=list_widths(settings, shape), features=8)
    counter = FlopCounterMode(display=False)
    with counter, torch.inference_mode():
        encoder.encode(torch.zeros(1, *shape))
    assert count_products(settings, shape) == pytest.approx(counter.get_total_flops(), rel=0.01)


def test_the_cost_is_positive_and_the_encoder_is_part_of_it() -> None:
    own = EncoderSettings(width=8, features=2, steps=10, batch_size=8)
    settings, longer = (
        InstanceSettings(widths=(8,), steps=30, batch_size=8, encoder=own.model_copy(update={"steps": steps}))
        for steps in (10, 1010)
    )
    kind, sampler, shape = KINDS["instance"], settings.default_sampler(), (1, 8, 8)
    cost = kind.estimate(settings, sampler, shape, 1, Path())
    assert min(cost.step_seconds, cost.image_seconds) > 0 and cost.fit_seconds > 30 * cost.step_seconds
    one, other = (kind.guess(each, sampler, shape, Path(), 1e10, 1) for each in (settings, longer))
    assert other.step_seconds == one.step_seconds and other.fit_seconds - one.fit_seconds > 1000 * 0.01
