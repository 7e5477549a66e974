"""Augmentation: images that are not chosen stay unchanged, and conditions describe the transformation of the others."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ops.generators.denoising import augmentation
from ops.generators.denoising.augmentation import CONDITIONS, augment


def make_images(count: int, side: int = 16) -> Tensor:
    """Smooth, so that interpolation changes little."""
    axis = torch.linspace(-1, 1, side)
    phase = torch.arange(count)[:, None, None, None]
    return torch.sin(2 * axis[None, None, :, None] + phase) * torch.cos(axis + 0.4)[None, None, None, :]


def apply(share: float, seed: int = 0, count: int = 200) -> tuple[Tensor, Tensor, Tensor]:
    images = make_images(count)
    return images, *augment(images, share, torch.Generator().manual_seed(seed))


def test_with_share_0_every_image_is_returned_unchanged() -> None:
    images, moved, conditions = apply(0.0)
    assert torch.equal(moved, images)
    assert torch.equal(conditions, torch.zeros(200, CONDITIONS))


def test_an_image_is_unchanged_exactly_where_its_conditions_are_0() -> None:
    images, moved, conditions = apply(0.1)
    untouched = (conditions == 0).all(dim=1)
    assert 0.5 < untouched.float().mean() < 0.8  # 0.9 ** 4 = 0.66
    assert torch.equal(moved[untouched], images[untouched])
    assert (moved[~untouched] - images[~untouched]).abs().flatten(1).amax(1).min() > 1e-3


@pytest.mark.parametrize("share", [0.2, 0.7])
def test_each_transformation_is_as_frequent_as_its_share(share: float) -> None:
    _, _, conditions = apply(share, count=2000)
    for column in range(CONDITIONS):
        assert float((conditions[:, column] != 0).float().mean()) == pytest.approx(share, abs=0.05)


def test_a_flip_alone_is_the_mirrored_image(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(augmentation, "SCALE_STD", 0.0)
    monkeypatch.setattr(augmentation, "SHIFT_STD", 0.0)
    images = make_images(400)
    moved, conditions = augment(images, 0.3, torch.Generator().manual_seed(1))
    flipped = (conditions[:, 0] == 1) & (conditions[:, 1:] == 0).all(dim=1)
    assert flipped.any()
    torch.testing.assert_close(moved[flipped], images[flipped].flip(3), atol=1e-5, rtol=0)


def test_the_conditions_hold_angle_and_shift(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(augmentation, "SCALE_STD", 0.0)
    side, images = 32, torch.full((300, 1, 32, 32), -1.0)
    images[:, :, 14:18, 20:24] = 1.0  # a blob to the right of the middle
    moved, conditions = augment(images, 0.5, torch.Generator().manual_seed(2))
    weight = (moved + 1).sum(dim=(1, 2, 3))
    axis = (torch.arange(side) + 0.5) * 2 / side - 1
    x = ((moved + 1).sum(dim=(1, 2)) * axis).sum(1) / weight
    y = ((moved + 1).sum(dim=(1, 3)) * axis).sum(1) / weight
    flip, shift_x, shift_y, _, turned, sine = conditions.unbind(1)
    start = 2 * 22 / side - 1
    cosine = 1 - turned
    # In order: mirrored, shifted, rotated about the middle. The blob's centre must be where that puts it.
    mirrored = torch.where(flip == 1, -start, start)
    at_x, at_y = mirrored + shift_x, shift_y
    expected = torch.stack([cosine * at_x - sine * at_y, sine * at_x + cosine * at_y], 1)
    inside = expected.abs().amax(1) < 0.6
    assert inside.sum() > 50
    error = (torch.stack([x, y], 1) - expected).norm(dim=1)[inside]
    assert error.quantile(0.8) < 0.02  # in the others, reflection shows a second blob
