"""A policy: each operation alone against what it must keep and what it must change."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from ops.classifiers.augmentations.flip_crop import flip_and_shift
from ops.classifiers.augmentations.policy import ComposedPolicy
from ops.recipe.arms import Policy


def change(images: Tensor, seed: int = 0, **strengths: float) -> Tensor:
    torch.manual_seed(seed)
    return ComposedPolicy(Policy(**strengths), (images.shape[2], images.shape[3]))(images)


def draw(count: int = 40, channels: int = 3, height: int = 24, width: int = 24) -> Tensor:
    return torch.rand(count, channels, height, width, generator=torch.Generator().manual_seed(1)) * 1.2 - 0.6


def draw_discs(height: int, width: int, radius: float, count: int = 60) -> Tensor:
    """Bright discs in the middle of dark images, with soft rims."""
    down, across = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    apart = torch.hypot(down - (height - 1) / 2, across - (width - 1) / 2)
    return (2 * torch.sigmoid(2 * (radius - apart)) - 1).expand(count, 1, height, width)


def measure(images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of bright things: area, and variances down and across in pixels."""
    mass = (images[:, 0] + 1) / 2
    area = mass.sum(dim=(1, 2))
    spreads = []
    for along in (1, 2):
        profile = mass.sum(dim=3 - along)
        places = torch.arange(profile.shape[1], dtype=torch.float32)
        mean = (profile * places).sum(1, keepdim=True) / profile.sum(1, keepdim=True)
        spreads.append((profile * (places - mean).square()).sum(1) / profile.sum(1))
    return area, spreads[0], spreads[1]


def test_strengths_of_0_change_nothing() -> None:
    images = draw()
    assert torch.equal(change(images), images)


def test_a_policy_that_only_moves_and_mirrors_moves_whole_pixels() -> None:
    images = draw(height=20)
    torch.manual_seed(3)
    expected = flip_and_shift(images, 2, 0.5)
    assert torch.equal(change(images, 3, shift=0.1, flip=0.5), expected)


@pytest.mark.parametrize(("height", "width"), [(32, 32), (24, 48), (48, 24)])
def test_rotation_keeps_discs_round_in_images_of_any_shape(height: int, width: int) -> None:
    discs = draw_discs(height, width, 6)
    before, after = measure(discs), measure(change(discs, rotation=180.0))
    for old, new in zip(before, after, strict=True):
        torch.testing.assert_close(new, old, rtol=0.03, atol=0)


def test_rotation_turns_by_up_to_its_degrees_both_ways() -> None:
    bar = torch.full((200, 1, 41, 41), -1.0)
    bar[:, :, 19:22, 6:35] = 1
    mass = (change(bar, rotation=30.0)[:, 0] + 1) / 2
    places = torch.arange(41.0) - 20
    down, across = places[:, None], places[None, :]
    xx, yy, xy = ((mass * part).sum(dim=(1, 2)) for part in (across**2, down**2, down * across))
    angles = torch.rad2deg(0.5 * torch.atan2(2 * xy, xx - yy))
    assert -31 < angles.min() < -25
    assert 25 < angles.max() < 31


def test_scale_changes_areas_by_its_square_at_most() -> None:
    discs = draw_discs(48, 48, 8, count=200)
    ratios = (measure(change(discs, scale=0.5))[0] / measure(discs)[0]).sqrt()
    assert 1 / 1.55 < ratios.min() < 1 / 1.4
    assert 1.4 < ratios.max() < 1.55
    assert abs(ratios.log().mean()) < 0.05


def test_resampling_moves_and_mirrors_too() -> None:
    slope = torch.linspace(-0.9, 0.9, 32).expand(200, 1, 32, 32)
    out = change(slope, rotation=0.01, shift=0.25, flip=0.5)
    fell = out[..., -1].mean(dim=(1, 2)) < out[..., 0].mean(dim=(1, 2))
    assert 0.35 < fell.float().mean() < 0.65
    moved = out.mean(dim=(1, 2, 3)).abs() / (1.8 / 31)
    assert 4 < moved.max() < 8.2


def test_channels_change_places_in_their_share_of_images() -> None:
    images = draw(300)
    out = change(images, channel_order=0.5)
    assert torch.equal(out.sort(dim=1).values, images.sort(dim=1).values)
    kept = (out == images).all(dim=3).all(dim=2).all(dim=1)
    assert abs(kept.float().mean() - (0.5 + 0.5 / 6)) < 0.08
    one = draw(10, channels=1)
    assert torch.equal(change(one, channel_order=1.0, grey=1.0), one)


def test_negatives_and_grey_images() -> None:
    images = draw(300)
    negative = (change(images, inversion=0.5) == -images).all(dim=3).all(dim=2).all(dim=1)
    assert 0.4 < negative.float().mean() < 0.6
    grey = change(images, grey=1.0)
    torch.testing.assert_close(grey, images.mean(dim=1, keepdim=True).expand_as(images))


def test_gain_and_offset_are_one_line_for_each_image() -> None:
    images = draw(200) * 0.2
    out = change(images, gain=0.5, offset=0.1)
    x, y = images.flatten(1), out.flatten(1)
    slope = ((x - x.mean(1, keepdim=True)) * (y - y.mean(1, keepdim=True))).sum(1) / (
        (x - x.mean(1, keepdim=True)).square().sum(1)
    )
    torch.testing.assert_close(y, (x - x.mean(1, keepdim=True)) * slope[:, None] + y.mean(1, keepdim=True))
    assert 1 / 1.5 - 1e-4 <= slope.min() < 0.7
    assert 1.4 < slope.max() <= 1.5 + 1e-4
    moved = y.mean(1) - x.mean(1)
    assert 0.18 < moved.abs().max() <= 0.2 + 1e-6  # of a range of 2


def test_blur_keeps_means_and_plain_images_and_takes_contrast() -> None:
    images = draw()
    out = change(images, blur=2.0)
    assert (out.std(dim=(1, 2, 3)) <= images.std(dim=(1, 2, 3)) + 1e-5).all()
    assert out.std(dim=(1, 2, 3)).min() < 0.5 * images.std(dim=(1, 2, 3)).min()
    plain = torch.full((5, 3, 9, 7), 0.3)
    torch.testing.assert_close(change(plain, blur=2.0), plain)


def test_noise_is_at_most_as_strong_as_it_may_be() -> None:
    plain = torch.zeros(200, 1, 32, 32)
    levels = change(plain, noise=0.1).flatten(1).std(dim=1)
    assert levels.max() < 0.2 * 1.1  # of a range of 2
    assert levels.mean() == pytest.approx(0.1, rel=0.15)


def test_erasing_hides_a_square_in_half_of_the_images() -> None:
    images = draw(400)
    changed = (change(images, erasing=0.5) != images).any(dim=1).float().mean(dim=(1, 2))
    assert abs((changed > 0).float().mean() - 0.5) < 0.1
    assert changed.max() == pytest.approx(0.25, abs=0.03)


def test_no_operation_leaves_the_images_device() -> None:
    images = draw().to("meta")  # a device that refuses to compute with tensors of another one
    for operation in set(Policy.numbers()) - {"kind"}:
        changed = change(images, **{operation: 0.3})
        assert (changed.device.type, changed.shape) == ("meta", images.shape), operation


def test_each_image_has_its_own_draws_and_a_seed_repeats_them() -> None:
    images = draw(1).expand(8, -1, -1, -1)
    everything = dict(
        shift=0.1, scale=0.2, rotation=15.0, flip=0.5, channel_order=0.8, inversion=0.5, grey=0.2, gain=0.5,
        offset=0.15, blur=1.0, noise=0.05, erasing=0.3,
    )  # fmt: skip
    out = change(images, **everything)
    assert out.abs().max() <= 1
    assert torch.isfinite(out).all()
    assert torch.equal(change(images, **everything), out)
    assert not torch.equal(change(images, 1, **everything), out)
    pairs = [(out[i] - out[j]).abs().max() for i in range(8) for j in range(i)]
    assert min(pairs) > 0.01
    assert math.isfinite(float(out.sum()))
