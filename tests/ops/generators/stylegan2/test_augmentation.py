"""Adaptive augmentation: nothing at p = 0, known moves and colours, gradients, and that it does not leak below 1."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from ops.generators.stylegan2.augmentation import (
    HUE,
    NORMAL,
    UNIFORM,
    Chance,
    augment,
    draw_numbers,
    find_place,
    move,
    recolour,
)

PLACES = {"flip": (0, 1), "quarters": (2, 3), "across": (4, 5), "down": (4, 6)}  # columns of gate and number


def draw(count: int, seed: int = 0) -> Tensor:
    return draw_numbers(count, torch.Generator().manual_seed(seed))


def still(count: int = 1) -> Tensor:
    """Numbers with which nothing happens at p < 1."""
    return torch.cat([torch.full((count, UNIFORM), 1.0), torch.randn(count, NORMAL)], dim=1)


def with_move(name: str, number: float) -> Tensor:
    numbers, (gate, place) = still(), PLACES[name]
    numbers[:, 4:7] = torch.tensor([1.0, 0.5, 0.5])  # the other side is shifted by 0 pixels
    numbers[:, gate], numbers[:, place] = 0.0, number
    return numbers


@pytest.mark.parametrize("channels", [1, 3])
def test_at_p_0_and_where_nothing_happens_images_keep_their_bits(channels: int) -> None:
    images = torch.randn(4, channels, 6, 9)
    assert augment(images, draw(4), 0.0) is images
    torch.testing.assert_close(augment(images, still(4), 0.7), images, atol=0, rtol=0)


@pytest.mark.parametrize(("size", "p"), [((1, 6, 9), 0.5), ((3, 7, 7), 0.8)])
def test_an_image_is_changed_by_its_own_numbers_alone(size: tuple[int, int, int], p: float) -> None:
    images, numbers = torch.randn(40, *size), draw(40)
    changed = augment(images, numbers, p)
    assert changed.shape == images.shape and changed.isfinite().all()
    torch.testing.assert_close(augment(images[7:9], numbers[7:9], p), changed[7:9], atol=1e-5, rtol=0)
    touched = (changed != images).flatten(1).any(dim=1).float().mean()
    assert touched > 0.7


def test_all_random_numbers_are_dealt_out_and_no_more() -> None:
    chance = Chance(draw(3), 0.5)
    find_place(chance, 8, 8)
    recolour(torch.randn(3, 3, 8, 8), chance)
    with pytest.raises(StopIteration):
        next(chance.uniforms)
    with pytest.raises(StopIteration):
        next(chance.normals)


@pytest.mark.parametrize(
    ("name", "number", "expected"),
    [
        ("flip", 0.9, lambda x: x.flip(3)),
        ("flip", 0.1, lambda x: x),
        ("quarters", 0.3, lambda x: x.rot90(3, (2, 3))),
        ("quarters", 0.6, lambda x: x.rot90(2, (2, 3))),
        ("quarters", 0.8, lambda x: x.rot90(1, (2, 3))),
        ("across", 1.0, lambda x: torch.cat([x[..., 1:], x[..., -1:]], dim=3)),
        ("down", 0.0, lambda x: torch.cat([x[..., :1, :], x[..., :-1, :]], dim=2)),
    ],
)
def test_blits_move_whole_pixels(name: str, number: float, expected: object) -> None:
    images = torch.randn(1, 1, 8, 8)  # of which a shift by an eighth is one pixel
    assert callable(expected)
    torch.testing.assert_close(augment(images, with_move(name, number), 0.5), expected(images), atol=1e-5, rtol=0)


def test_moves_are_affine_in_pixels_of_images_that_are_not_square() -> None:
    images = torch.zeros(1, 1, 9, 15)
    images[0, 0, 4, 9] = 1.0  # two to the right of the centre
    moved = augment(images, with_move("quarters", 0.3), 0.5)
    assert int(moved.argmax()) == 6 * 15 + 7  # two below it
    place = torch.eye(3)[None].clone()
    place[0, 0, 0] = place[0, 1, 1] = 0.5  # each place reads from half as far: twice as large
    assert float(move(images, place)[0, 0, 4, 11]) == pytest.approx(1.0)


def test_colours_follow_the_closed_form() -> None:
    images = torch.rand(1, 3, 4, 5) * 2 - 1
    grey = images.mean(dim=1, keepdim=True)

    def change(columns: dict[int, float], p: float = 0.5) -> Tensor:
        """`columns` of the uniforms that colours take, in their order, and -1.. of the normals."""
        numbers = still()
        numbers[:, UNIFORM + 4 :] = torch.tensor([0.5, -1.0, 2.0])  # brightness, contrast, saturation
        for column, value in columns.items():
            numbers[:, column] = value
        return augment(images, numbers, p)

    first = UNIFORM - 7  # gates: brightness, contrast, inversion and its way, hue and its angle, saturation
    torch.testing.assert_close(change({first: 0.0}), images + 0.5 * 0.2)
    torch.testing.assert_close(change({first + 1: 0.0}), images * 2**-0.5)
    torch.testing.assert_close(change({first + 2: 0.0, first + 3: 0.7}), images - 2 * grey)
    torch.testing.assert_close(change({first + 6: 0.0}), grey + (images - grey) * 4)
    turned = change({first + 4: 0.0, first + 5: 0.5 + 1 / 3})  # a third of a circle
    torch.testing.assert_close(turned, images.roll(1, dims=1), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(HUE @ HUE, torch.full((3, 3), 1 / 3) - torch.eye(3))


def test_gradients_pass_through_all_operations() -> None:
    images = torch.randn(30, 3, 6, 6, dtype=torch.float64, requires_grad=True)
    numbers = draw(30).double()
    weights = torch.randn(30, 3, 6, 6, dtype=torch.float64)
    (gradient,) = torch.autograd.grad((augment(images, numbers, 0.8) * weights).sum(), images)
    assert gradient.isfinite().all() and (gradient.flatten(1).abs().sum(dim=1) > 0).all()
    direction = torch.randn_like(images)
    step = 1e-4
    with torch.no_grad():
        ends = [(augment(images + sign * step * direction, numbers, 0.8) * weights).sum() for sign in (1, -1)]
    assert float((gradient * direction).sum()) == pytest.approx(float((ends[0] - ends[1]) / (2 * step)), rel=1e-6)


@pytest.mark.parametrize("p", [0.4, 0.8, 1.0])
def test_below_1_the_ways_in_which_images_are_turned_tell_how_they_stood(p: float) -> None:
    """The shares of four ways to stand are a circulant map of the true shares. Its smallest eigenvalue is 1 - p: at
    p = 1 alone nothing can be told."""
    chance = Chance(draw(20_000), p)
    chance.choose(2)
    shares = chance.choose(4).long().bincount() / 20_000
    eigenvalues = np.abs(np.fft.fft(shares.numpy()))
    assert eigenvalues.min() == pytest.approx(1 - p, abs=0.02)


COUNT, P, SIDES = 20_000, 0.3, (32, 64)  # images, probability, and height and width


def apply_alone(uniforms: list[int], normals: list[int]) -> tuple[Tensor, Tensor]:
    """Places and coloured images of COUNT images, to which only the operation of these columns may happen."""
    drawn, numbers = draw(COUNT), still(COUNT)
    for column in [*uniforms, *(UNIFORM + column for column in normals)]:
        numbers[:, column] = drawn[:, column]
    chance = Chance(numbers, P)
    place = find_place(chance, *SIDES)
    return place, recolour(torch.tensor([0.5, -0.2, 0.1]).expand(COUNT, 3)[:, :, None, None], chance)[:, :, 0, 0]


@pytest.mark.parametrize(
    ("uniforms", "normals", "share"),
    [
        ([0, 1], [], P / 2),  # of the two ways of a flip one leaves the image, of quarters one of four
        ([2, 3], [], P * 3 / 4),
        ([4, 5, 6], [], P * (1 - 1 / 8 / 16)),  # rounded to 0 of -4..4 down and of -8..8 across
        ([7], [0], P),
        ([8, 9], [], 1 - (1 - P) ** 0.5),
        ([10], [1], P),
        ([11, 12], [], 1 - (1 - P) ** 0.5),
        ([8, 9, 11, 12], [], P),  # turned before or after
        ([13], [2, 3], P),
    ],
)
def test_each_move_happens_with_probability_p(uniforms: list[int], normals: list[int], share: float) -> None:
    place, coloured = apply_alone(uniforms, normals)
    moved = (place - torch.eye(3)).abs().flatten(1).amax(dim=1) > 1e-6
    assert float(moved.float().mean()) == pytest.approx(share, abs=4 * (share * (1 - share) / COUNT) ** 0.5)
    assert len(coloured.unique(dim=0)) == 1


@pytest.mark.parametrize(
    ("uniforms", "normals", "share"),
    [([14], [4], P), ([15], [5], P), ([16, 17], [], P / 2), ([18, 19], [], P), ([20], [6], P)],
    ids=["brightness", "contrast", "inversion", "hue", "saturation"],
)
def test_each_change_of_colour_happens_with_probability_p(
    uniforms: list[int], normals: list[int], share: float
) -> None:
    place, coloured = apply_alone(uniforms, normals)
    changed = (coloured - torch.tensor([0.5, -0.2, 0.1])).abs().amax(dim=1) > 1e-7
    assert float(changed.float().mean()) == pytest.approx(share, abs=4 * (share * (1 - share) / COUNT) ** 0.5)
    assert torch.equal(place, torch.eye(3).expand(COUNT, 3, 3))


def test_a_shift_happens_along_both_sides_or_along_none() -> None:
    place, _ = apply_alone([13], [2, 3])
    shifts = place[:, :2, 2] / torch.tensor([SIDES[1], SIDES[0]])
    happened = shifts != 0
    assert torch.equal(happened[:, 0], happened[:, 1])
    moved = shifts[happened[:, 0]]
    torch.testing.assert_close(moved.std(dim=0), torch.full((2,), 0.125), rtol=0.05, atol=0)
    assert abs(float(torch.corrcoef(moved.T)[0, 1])) < 0.05
    whole, _ = apply_alone([4, 5, 6], [])
    pixels = whole[:, :2, 2]
    assert torch.equal(pixels, pixels.round()) and pixels.abs().amax(dim=0).tolist() == [8.0, 4.0]


def test_the_spread_of_stretches_angles_and_colours_is_the_published_one() -> None:
    stretched, _ = apply_alone([10], [1])
    happened = stretched[:, 0, 0] != 1
    logarithms = stretched[happened].log()
    assert float(logarithms[:, 1, 1].std()) == pytest.approx(0.2 * math.log(2), rel=0.05)
    torch.testing.assert_close(logarithms[:, 0, 0], -logarithms[:, 1, 1], rtol=1e-4, atol=1e-5)
    turned, _ = apply_alone([8, 9], [])
    angles = torch.atan2(turned[:, 1, 0], turned[:, 0, 0])
    angles = angles[angles != 0]
    assert float(angles.std()) == pytest.approx(math.pi / 3**0.5, rel=0.05) and float(angles.abs().max()) > 3
    plain = torch.tensor([0.5, -0.2, 0.1])
    _, bright = apply_alone([14], [4])
    added = (bright - plain)[:, 0]
    assert float(added[added != 0].std()) == pytest.approx(0.2, rel=0.05)
    _, steep = apply_alone([15], [5])
    ratios = (steep / plain)[:, 0]
    assert float(ratios[ratios != 1].log2().std()) == pytest.approx(0.5, rel=0.05)
    _, rich = apply_alone([20], [6])
    grey = plain.mean()
    ratios = ((rich - grey) / (plain - grey))[:, 0]
    assert float(ratios[(ratios - 1).abs() > 1e-6].log2().std()) == pytest.approx(1.0, rel=0.05)


def test_the_spread_of_sizes_is_the_published_one_and_half_of_the_images_are_mirrored() -> None:
    numbers = draw(20_000)
    chance = Chance(numbers, 1.0)
    place = find_place(chance, 32, 32)
    # det: 1 over the square of an isotropic scale; a stretch and turns leave it.
    size = place[:, 0, 0] * place[:, 1, 1] - place[:, 0, 1] * place[:, 1, 0]
    assert float((size.abs().log() / 2).std()) == pytest.approx(0.2 * math.log(2), rel=0.03)
    assert float((size < 0).float().mean()) == pytest.approx(0.5, abs=0.02)
