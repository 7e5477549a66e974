"""Augmentation: images that are not chosen stay unchanged, and conditions tell how the others were changed."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ops.generators.denoising.augmentation import PLACE, augment, count_conditions
from ops.recipe.arms import Policy

EVERYTHING = Policy(
    shift=0.125, scale=0.2, rotation=180.0, flip=1.0, channel_order=0.5, inversion=0.5, grey=0.3, gain=0.5, offset=0.2
)


def make_images(count: int, channels: int = 3, side: int = 16) -> Tensor:
    """Smooth, so that interpolation changes little; channels differ."""
    axis = torch.linspace(-1, 1, side)
    phase = torch.arange(count * channels).view(count, channels, 1, 1)
    return 0.8 * torch.sin(2 * axis[None, None, :, None] + phase) * torch.cos(axis + 0.4)[None, None, None, :]


def apply(policy: Policy, share: float, seed: int = 0, count: int = 200) -> tuple[Tensor, Tensor, Tensor]:
    images = make_images(count)
    return images, *augment(images, policy, share, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("policy", "share"), [(EVERYTHING, 0.0), (Policy(), 0.7)])
def test_without_a_share_or_an_operation_every_image_is_returned_unchanged(policy: Policy, share: float) -> None:
    images, changed, conditions = apply(policy, share)
    assert torch.equal(changed, images)
    assert torch.equal(conditions, torch.zeros(200, count_conditions(3)))


def test_an_image_is_unchanged_exactly_where_its_conditions_are_0() -> None:
    images, changed, conditions = apply(EVERYTHING, 0.1)
    untouched = (conditions == 0).all(dim=1)
    assert 0.4 < untouched.float().mean() < 0.7  # 0.9^6 times the shares of channel order, inversion and grey
    assert torch.equal(changed[untouched], images[untouched])
    assert (changed[~untouched] - images[~untouched]).abs().flatten(1).amax(1).min() > 1e-3
    assert changed.abs().max() <= 1


@pytest.mark.parametrize("share", [0.2, 0.7])
def test_each_move_is_as_frequent_as_its_share(share: float) -> None:
    _, _, conditions = apply(EVERYTHING, share, count=2000)
    for column in range(PLACE + 1):
        assert float((conditions[:, column] != 0).float().mean()) == pytest.approx(share, abs=0.05)


def test_a_flip_alone_is_the_mirrored_image() -> None:
    images, changed, conditions = apply(Policy(flip=0.6), 0.5)
    flipped = conditions[:, 0] == 1
    assert flipped.float().mean() == pytest.approx(0.3, abs=0.08)
    torch.testing.assert_close(changed[flipped], images[flipped].flip(3), atol=1e-5, rtol=0)
    assert torch.equal(changed[~flipped], images[~flipped])


def test_colours_are_what_the_conditions_tell() -> None:
    """Independent of the module: a matrix product and an offset for each pixel."""
    policy = EVERYTHING.model_copy(update={"shift": 0.0, "scale": 0.0, "rotation": 0.0, "flip": 0.0})
    images, changed, conditions = apply(policy, 0.6)
    offset, matrix = conditions[:, PLACE], conditions[:, PLACE + 1 :].view(-1, 3, 3) + torch.eye(3)
    expected = torch.einsum("nij,njhw->nihw", matrix, images) + offset[:, None, None, None]
    torch.testing.assert_close(changed, expected.clamp(-1, 1), atol=1e-5, rtol=0)
    assert {round(float(d)) for d in torch.linalg.det(matrix).sign()} == {-1, 0, 1}  # odd orders or inversions; grey


def test_an_image_of_one_channel_keeps_its_channel() -> None:
    images = make_images(50, channels=1)
    only = Policy(channel_order=1.0, grey=1.0)
    changed, conditions = augment(images, only, 1.0, torch.Generator().manual_seed(0))
    assert torch.equal(changed, images)
    assert conditions.shape == (50, 8) and not conditions.any()


def test_the_conditions_hold_angle_and_shift() -> None:
    side, images = 32, torch.full((300, 1, 32, 32), -1.0)
    images[:, :, 14:18, 20:24] = 1.0  # a blob to the right of the middle
    policy = Policy(flip=1.0, shift=0.2, rotation=180.0)
    moved, conditions = augment(images, policy, 0.5, torch.Generator().manual_seed(2))
    weight = (moved + 1).sum(dim=(1, 2, 3))
    axis = (torch.arange(side) + 0.5) * 2 / side - 1
    x = ((moved + 1).sum(dim=(1, 2)) * axis).sum(1) / weight
    y = ((moved + 1).sum(dim=(1, 3)) * axis).sum(1) / weight
    flip, shift_x, shift_y, _, turned, sine = conditions[:, :PLACE].unbind(1)
    start = 2 * 22 / side - 1
    cosine = 1 - turned
    # In order: mirrored, shifted, rotated about the middle. The blob's centre must be where that puts it.
    mirrored = torch.where(flip == 1, -start, start)
    at_x, at_y = mirrored + shift_x, shift_y
    expected = torch.stack([cosine * at_x - sine * at_y, sine * at_x + cosine * at_y], 1)
    inside = expected.abs().amax(1) < 0.6
    assert inside.sum() > 50
    error = (torch.stack([x, y], 1) - expected).norm(dim=1)[inside]
    assert error.quantile(0.95) < 0.02
