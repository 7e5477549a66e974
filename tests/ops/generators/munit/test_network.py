"""MUNIT's networks: sizes for every image, the published number of weights, and which parts draw a variant."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from ops.errors import UserError
from ops.generators.munit.depths import check_shape, plan_depths
from ops.generators.munit.guessing import count_products
from ops.generators.munit.network import build_makers, build_munit, describe_munit
from ops.recipe.munit import MunitSettings


def describe(shape: tuple[int, int, int], **changes: Any) -> dict[str, Any]:
    channels, height, width = shape
    settings = MunitSettings(**{"width": 8, "blocks": 1, **changes})
    return {"channels": channels, "height": height, "width": width, **describe_munit(settings)}


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


@pytest.mark.parametrize(
    ("side", "content"),
    [((8, 8), 1), ((16, 16), 1), ((28, 28), 1), ((32, 32), 1), ((64, 64), 2), ((128, 128), 3), ((28, 20), 1)],
)
def test_images_of_any_size_keep_it_and_their_content_has_about_fourteen_places(
    side: tuple[int, int], content: int
) -> None:
    assert plan_depths(*side).content == content
    torch.manual_seed(0)
    munit = build_munit(describe((1, *side))).eval()
    x = torch.rand(2, 1, *side) * 2 - 1
    with torch.inference_mode():
        code, variant = munit.makers.encode(x), munit.makers.vary(x, torch.randn(2, 8))
        scores = munit.critics[0](x)
    assert code.shape == (2, 8 * 2**content, *(n // 2**content for n in side))
    assert variant.shape == x.shape and float(variant.abs().max()) <= 1
    assert scores.shape[0] == 2 and scores.isfinite().all()


def test_a_side_that_is_no_multiple_is_padded_at_the_edge_and_cropped() -> None:
    munit = build_munit(describe((3, 10, 13), halvings=2)).eval()
    x = torch.rand(2, 3, 10, 13)
    with torch.inference_mode():
        assert munit.makers.encode(x).shape == (2, 32, 3, 4)
        assert munit.makers.vary(x, torch.randn(2, 8)).shape == x.shape


def test_at_the_published_size_there_are_as_many_weights_as_published() -> None:
    with torch.device("meta"):
        munit = build_munit(describe((3, 32, 32), width=64, blocks=4, halvings=2), spectral_norm=False)
    maker = munit.makers[0]
    assert len(munit.makers) == 1
    assert round(count(maker) / 1e6, 2) == 15.03
    parts: list[list[nn.Module]] = [
        [maker.content, maker.encoding],
        [maker.places, maker.own],
        [maker.decoding, maker.rising, maker.norms, maker.last],
        [maker.affine],
    ]
    assert [round(sum(map(count, part)) / 1e6, 2) for part in parts] == [5.39, 2.76, 5.75, 1.12]
    assert round(count(munit.critics) / 1e6, 2) == 2.76


def test_counted_products_are_those_of_the_published_network() -> None:
    products = count_products(MunitSettings(width=64, halvings=2), (3, 32, 32))
    assert round(products.encode / 2e9, 2) == 0.38 and round(products.decode / 2e9, 2) == 0.73


def test_a_variant_is_the_content_in_the_drawn_style_and_a_strength_of_zero_the_image_in_its_own() -> None:
    torch.manual_seed(1)
    makers = build_makers(describe((1, 16, 16))).eval()
    x, z = torch.rand(3, 1, 16, 16), torch.randn(3, 8)
    maker = makers[0]
    with torch.inference_mode():
        content, own = maker.encode(x), maker.style_of(x)
        assert torch.equal(makers.vary(x, z), maker.decode(content, z))
        torch.testing.assert_close(makers.vary(x, z, 1.0), maker.decode(content, z), rtol=0, atol=0)
        torch.testing.assert_close(makers.vary(x, z, 0.0), maker.decode(content, own), rtol=0, atol=0)
        expected = maker.decode(content, 0.8 * own + 0.6 * z)
        torch.testing.assert_close(makers.vary(x, z, 0.6), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("sampling", "encoder"), [("same", 0), ("crossed", 1)])
def test_of_two_branches_the_first_decodes_its_own_content_or_the_other_ones(sampling: str, encoder: int) -> None:
    torch.manual_seed(1)
    makers = build_makers(describe((1, 8, 8), branches=2, sampling=sampling)).eval()
    x, z = torch.rand(3, 1, 8, 8), torch.randn(3, 8)
    with torch.inference_mode():
        assert torch.equal(makers.vary(x, z), makers[0].decode(makers[encoder].encode(x), z))


def test_an_image_does_not_depend_on_its_batch() -> None:
    torch.manual_seed(1)
    makers = build_makers(describe((1, 16, 16))).eval()
    x, z = torch.rand(4, 1, 16, 16), torch.randn(4, 8)
    with torch.inference_mode():
        torch.testing.assert_close(makers.vary(x, z)[2:3], makers.vary(x[2:3], z[2:3]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("changes", "shape", "sentence"),
    [
        ({}, (1, 28, 3), "kind: munit needs images of at least 4 pixels a side; these have 3"),
        ({"style": 17}, (1, 4, 4), "an image of 16 numbers is too small for a style of 17"),
        (
            {"halvings": 4},
            (1, 16, 16),
            "generator.halvings 4 leaves no content of 16 pixels a side; at most 3 are possible",
        ),
    ],
)
def test_images_that_are_too_small_are_refused(
    changes: dict[str, int], shape: tuple[int, int, int], sentence: str
) -> None:
    with pytest.raises(UserError) as refused:
        check_shape(MunitSettings(**changes), shape)
    assert str(refused.value) == sentence


@pytest.mark.parametrize("halvings", [1, 2, 3, 4])
@pytest.mark.parametrize("side", [4, 5, 9, 17])
def test_every_depth_that_is_not_refused_works(side: int, halvings: int) -> None:
    try:
        check_shape(MunitSettings(halvings=halvings), (1, side, side))
    except UserError:
        assert side < 2**halvings + 1
        return
    munit = build_munit(describe((1, side, side), halvings=halvings)).eval()
    x = torch.rand(2, 1, side, side)
    with torch.inference_mode():
        assert munit.makers.vary(x, torch.randn(2, 8)).shape == x.shape and munit.critics[0](x).isfinite().all()
