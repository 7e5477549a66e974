"""The network: shapes, conditioning, and conversion between pixels and floats."""

from __future__ import annotations

import math

import pytest
import torch

from ops.generators.denoising.network import ConditionalUNet
from ops.generators.levels import to_pixels


def build_unet(channels: int, height: int, width: int, unshuffle: int = 2, conditions: int = 0) -> ConditionalUNet:
    torch.manual_seed(0)
    return ConditionalUNet(
        channels=channels, height=height, width=width, labels=5, widths=(8, 16), unshuffle=unshuffle,
        conditions=conditions,
    ).eval()  # fmt: skip


@pytest.mark.parametrize(
    ("shape", "unshuffle"), [((1, 28, 28), 2), ((3, 30, 25), 2), ((1, 16, 16), 1), ((3, 16, 16), 4), ((1, 5, 7), 4)]
)
def test_an_output_has_the_shape_of_its_images(shape: tuple[int, int, int], unshuffle: int) -> None:
    model = build_unet(*shape, unshuffle=unshuffle)
    with torch.inference_mode():
        output = model(torch.randn(2, *shape), torch.tensor([0.0, 0.5]), torch.tensor([0, 4]))
    assert output.shape == (2, *shape)
    assert torch.isfinite(output).all()


def test_an_output_depends_on_label_and_time_and_not_on_its_neighbours_in_the_batch() -> None:
    model, x = build_unet(1, 10, 9), torch.randn(3, 1, 10, 9)
    t, label = torch.tensor([0.1, 0.5, 0.9]), torch.tensor([0, 1, 2])
    with torch.inference_mode():
        together = model(x, t, label)
        alone = torch.cat([model(x[i : i + 1], t[i : i + 1], label[i : i + 1]) for i in range(3)])
        assert torch.allclose(together, alone, atol=1e-5)
        assert (model(x, t, label.roll(1)) - together).abs().max() > 1e-3
        assert (model(x, t.roll(1), label) - together).abs().max() > 1e-3


def test_every_grey_level_survives_conversion_to_floats_and_back() -> None:
    levels = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    assert torch.equal(to_pixels(levels.float() / 127.5 - 1), levels.permute(0, 2, 3, 1))


def test_pixels_are_clamped_rounded_and_channels_last() -> None:
    images = torch.tensor([-5.0, -1.0, -0.999, 0.0, 0.999, 1.0, 5.0, math.nextafter(-1, 0)]).reshape(1, 2, 1, 4)
    pixels = to_pixels(images)
    assert pixels.dtype == torch.uint8
    assert pixels.shape == (1, 1, 4, 2)
    # 0 lies halfway between 127 and 128 and is rounded to the even one.
    assert pixels[..., 0].ravel().tolist() == [0, 0, 0, 128]
    assert pixels[..., 1].ravel().tolist() == [255, 255, 255, 0]


def test_conditions_of_zero_do_not_change_the_output() -> None:
    model, x = build_unet(1, 8, 8, conditions=3), torch.randn(2, 1, 8, 8)
    t, label = torch.tensor([0.2, 0.7]), torch.tensor([0, 1])
    with torch.inference_mode():
        plain = model(x, t, label)
        assert torch.equal(model(x, t, label, torch.zeros(2, 3)), plain)
        assert not torch.allclose(model(x, t, label, torch.ones(2, 3)), plain, atol=1e-4)
