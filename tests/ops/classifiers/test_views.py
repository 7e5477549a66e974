"""Views: crops as Pillow resizes them, colours as the standard library has them, and how often each thing happens."""

from __future__ import annotations

import colorsys
import math

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from ops.classifiers.augmentations.colours import REACH, blur, draw_blur, find_luma, grey_out, jitter, solarise
from ops.classifiers.augmentations.resizing import RATIO, draw_boxes, resize
from ops.classifiers.augmentations.views import ContrastViews
from ops.recipe.ingredients.views import Views

STILL = {"crop": 1.0, "jitter": 0.0, "grey": 0.0, "blur": 0.0, "solarize": 0.0, "flip": 0.0}


def draw(count: int = 16, channels: int = 3, height: int = 20, width: int = 24) -> Tensor:
    return torch.rand(count, channels, height, width, generator=torch.Generator().manual_seed(1)) * 1.6 - 0.8


def change(images: Tensor, seed: int = 0, **keys: float) -> Tensor:
    torch.manual_seed(seed)
    return ContrastViews(Views.model_validate({**STILL, **keys}), (images.shape[2], images.shape[3]))(images)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_crop_is_what_pillow_makes_of_it(channels: int) -> None:
    """Pillow crops and then resizes, channel by channel, in floats."""
    images = draw(channels=channels)
    torch.manual_seed(2)
    boxes = draw_boxes(len(images), (20, 24), 0.08)
    mirrored = torch.arange(len(images)) % 2 == 0
    found = resize(images, boxes, mirrored)
    for i, (top, left, tall, wide) in enumerate(torch.stack(boxes, dim=1).tolist()):
        for c in range(channels):
            cut = Image.fromarray(images[i, c, top : top + tall, left : left + wide].numpy())
            expected = np.asarray(cut.resize((24, 20), Image.Resampling.BICUBIC)).clip(-1, 1)
            expected = expected[:, ::-1] if mirrored[i] else expected
            np.testing.assert_allclose(found[i, c].numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("side", [(28, 28), (20, 40), (40, 16)])
def test_boxes_lie_inside_and_cover_what_they_should(side: tuple[int, int]) -> None:
    torch.manual_seed(0)
    top, left, tall, wide = draw_boxes(4_000, side, 0.3)
    assert min(top.min(), left.min()) >= 0 and min(tall.min(), wide.min()) >= 1
    assert (top + tall).max() <= side[0] and (left + wide).max() <= side[1]
    share = (tall * wide).double() / math.prod(side)
    assert share.min() > 0.25
    assert (wide / tall).max() < RATIO[1] + 0.2 and (wide / tall).min() > RATIO[0] - 0.15
    # Every place is reached at both ends.
    assert (top == 0).any() and (top + tall == side[0]).any() and (left == 0).any() and (left + wide == side[1]).any()


def test_the_share_of_small_crops_is_uniform() -> None:
    torch.manual_seed(0)
    _, _, tall, wide = draw_boxes(20_000, (64, 64), 0.1)
    share = np.sort((tall * wide).numpy() / 64**2)
    uniform = np.linspace(0.1, 1.0, len(share))
    # Large boxes often do not fit, and are drawn again; of the smaller half all do.
    small = share[share < 0.5]
    assert abs(np.median(small) - 0.3) < 0.01 and share.mean() < uniform.mean()


def test_whole_images_stay_as_they_are() -> None:
    images = draw(height=24)
    assert torch.allclose(change(images), images, atol=1e-6)
    assert torch.allclose(change(images, flip=1.0), images.flip(3), atol=1e-6)


def test_hues_turn_as_in_the_standard_library(monkeypatch: pytest.MonkeyPatch) -> None:
    images = draw(count=3, height=5, width=5)
    monkeypatch.setattr(torch, "rand", lambda *shape: torch.full(shape, 0.8))  # the hue moves by 0.6 · 0.3
    found = (jitter(images, 0, 0, 0, 0.3) + 1) / 2
    for i in range(3):
        for place in range(25):
            rgb = ((images[i, :, place // 5, place % 5] + 1) / 2).tolist()
            h, s, v = colorsys.rgb_to_hsv(*rgb)
            expected = colorsys.hsv_to_rgb((h + 0.18) % 1, s, v)
            assert found[i, :, place // 5, place % 5].tolist() == pytest.approx(expected, abs=1e-5)


def test_brightness_contrast_and_saturation_are_factors(monkeypatch: pytest.MonkeyPatch) -> None:
    images = draw(count=4)
    unit = (images + 1) / 2
    monkeypatch.setattr(torch, "rand", lambda *shape: torch.full(shape, 0.75))  # a factor of 1 + most / 2
    assert torch.allclose(jitter(images, 0.4, 0, 0, 0), (unit * 1.2).clamp(0, 1) * 2 - 1, atol=1e-6)
    mean = find_luma(unit).mean(dim=(2, 3), keepdim=True)
    assert torch.allclose(jitter(images, 0, 0.4, 0, 0), (mean + 1.2 * (unit - mean)).clamp(0, 1) * 2 - 1, atol=1e-6)
    luma = find_luma(unit)
    assert torch.allclose(jitter(images, 0, 0, 0.4, 0), (luma + 1.2 * (unit - luma)).clamp(0, 1) * 2 - 1, atol=1e-6)


def test_a_grey_image_keeps_its_one_channel() -> None:
    images = draw(channels=1)
    found = change(images, crop=0.2, jitter=1.0, grey=1.0, blur=1.0, solarize=1.0, flip=0.5)
    assert found.shape == images.shape and found.abs().max() <= 1
    assert torch.equal(grey_out(images), images) and not torch.equal(found, images)


def test_a_blur_is_a_gaussian_with_edges_repeated() -> None:
    images, sd = draw(count=3), torch.tensor([0.3, 1.0, 2.0])
    found = blur(images, sd)
    for i in range(3):
        kernel = np.exp(-0.5 * (np.arange(-REACH, REACH + 1) / float(sd[i])) ** 2)
        kernel /= kernel.sum()
        for c in range(3):
            padded = np.pad(images[i, c].numpy().astype(float), REACH, mode="edge")
            rows = np.stack([np.convolve(line, kernel, "valid") for line in padded.T], axis=1)
            expected = np.stack([np.convolve(line, kernel, "valid") for line in rows])
            np.testing.assert_allclose(found[i, c].numpy(), expected, atol=1e-6)
    even = torch.full((2, 1, 9, 9), 0.3)
    assert torch.allclose(draw_blur(even), even, atol=1e-6)


def test_solarising_inverts_light_levels_alone() -> None:
    levels = torch.tensor([-1.0, -0.2, 0.2, 1.0]).view(1, 1, 2, 2)
    assert solarise(levels).flatten().tolist() == pytest.approx([-1.0, -0.2, -0.2, -1.0])


@pytest.mark.parametrize("key", ["jitter", "grey", "blur", "solarize", "flip"])
def test_each_operation_happens_as_often_as_its_key_says(key: str) -> None:
    images = draw(count=2_000, height=8, width=8)
    found = change(images, **{key: 0.3})
    changed = (found - images).abs().amax(dim=(1, 2, 3)) > 1e-3
    assert 0.25 < changed.float().mean() < 0.35


def test_of_two_views_the_second_alone_is_solarised_and_each_is_drawn_apart() -> None:
    images = draw(count=300, height=8, width=8)
    views = ContrastViews(Views.model_validate({**STILL, "solarize": 1.0}), (8, 8))
    one, other = views.pair(images)
    assert torch.allclose(one, images, atol=1e-6) and torch.allclose(other, solarise(images), atol=1e-5)
    one, other = ContrastViews(Views.model_validate({**STILL, "crop": 0.2}), (8, 8)).pair(images)
    assert ((one - other).abs().amax(dim=(1, 2, 3)) > 1e-3).float().mean() > 0.95


def test_the_seed_decides_everything_and_values_stay_in_range() -> None:
    images = draw() / 0.8
    for keys in ({}, {"preset": "asymmetric"}):
        views = ContrastViews(Views.model_validate(keys), (20, 24))
        torch.manual_seed(5)
        first = views(images)
        torch.manual_seed(5)
        assert torch.equal(views(images), first) and first.abs().max() <= 1 and first.isfinite().all()
