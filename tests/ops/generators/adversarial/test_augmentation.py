"""What a critic's images become: each operation by its formula, its range, its gradient, and what leaves an image."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ops.generators.adversarial.augmentation import NUMBERS, change, draw_changes
from ops.recipe.adversarial import Change

ALL: tuple[Change, ...] = ("colour", "translation", "cutout")


def draw(count: int, seed: int = 0) -> Tensor:
    return draw_changes((count,), torch.Generator().manual_seed(seed))


def images(count: int = 4, channels: int = 3, height: int = 16, width: int = 12) -> Tensor:
    return torch.rand(count, channels, height, width, generator=torch.Generator().manual_seed(9)) * 2 - 1


def set_numbers(**numbers: float) -> Tensor:
    """Every operation at its middle, but for the given places."""
    drawn = torch.full((1, NUMBERS), 0.5)
    for place, value in numbers.items():
        drawn[0, int(place.removeprefix("n"))] = value
    return drawn


@pytest.mark.parametrize("kinds", [(), ("colour", "translation")])
def test_numbers_in_the_middle_leave_an_image_as_it_is(kinds: tuple[Change, ...]) -> None:
    x = images(1)
    torch.testing.assert_close(change(x, set_numbers(), kinds), x, rtol=0, atol=1e-6)


def test_brightness_is_added_and_saturation_and_contrast_stretch_around_a_mean() -> None:
    x = images(1)
    torch.testing.assert_close(change(x, set_numbers(n0=0.9), ("colour",)), x + 0.4)
    torch.testing.assert_close(
        change(x, set_numbers(n1=0.0), ("colour",)), x.mean(dim=1, keepdim=True).expand_as(x), rtol=0, atol=1e-6
    )
    steep = change(x, set_numbers(n2=0.75), ("colour",))
    torch.testing.assert_close(steep, x.mean() + 1.25 * (x - x.mean()), rtol=0, atol=1e-6)


def test_a_shift_moves_by_whole_pixels_up_to_an_eighth_of_a_side_and_fills_with_grey() -> None:
    x = images(1, 1, 16, 24)
    low, high = (change(x, set_numbers(n3=edge, n4=edge), ("translation",)) for edge in (0.0, 0.999999))
    assert torch.equal(low[..., 2:, 3:], x[..., :-2, :-3]) and not low[..., :2, :].any() and not low[..., :3].any()
    assert torch.equal(high[..., :-2, :-3], x[..., 2:, 3:]) and not high[..., -2:, :].any()


def test_all_shifts_are_equally_frequent() -> None:
    x = torch.zeros(5000, 1, 8, 8)
    x[:, :, 3, 4] = 1
    found = change(x, draw(5000), ("translation",)).sum(dim=0)[0]
    assert found[2:5, 3:6].sum() == 5000 and found[2:5, 3:6].min() > 5000 / 9 * 0.85


def test_a_hole_has_half_of_each_side_and_lies_anywhere_in_the_image() -> None:
    x = torch.ones(2000, 1, 8, 12)
    holes = change(x, draw(2000), ("cutout",))[:, 0] == 0
    sizes = holes.flatten(1).sum(dim=1)
    assert sizes.max() == 4 * 6 and sizes.min() >= 0
    assert bool(holes.any(dim=0).all())
    middle = change(x[:1], set_numbers(), ("cutout",))[0, 0] == 0
    assert middle.nonzero().amin(dim=0).tolist() == [2, 3] and int(middle.sum()) == 24


def test_an_image_does_not_depend_on_its_neighbours_and_gradients_pass_where_it_is_seen() -> None:
    x, drawn = images(6).requires_grad_(), draw(6)
    changed = change(x, drawn, ALL)
    torch.testing.assert_close(change(x[2:3], drawn[2:3], ALL), changed[2:3])
    (gradient,) = torch.autograd.grad(changed.sum(), x)
    assert gradient.isfinite().all() and (gradient != 0).flatten(1).any(dim=1).all()
