"""Moves against arrays that numpy turns, shifts and mirrors exactly."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from ops.generators.geometry.moves import NUMBERS, Moves, Ranges
from ops.generators.noise import draw_noise

# The noise at which the uniform number in -1..1 is 0, 1/2 or nearly 1.
MIDDLE, HALF, END = 0.0, float(stats.norm.ppf(0.75)), 8.0


def move(image: np.ndarray, ranges: Ranges, *numbers: float) -> np.ndarray:
    """The image uint8 [H, W, C], moved by the first numbers of its noise; the others are 0."""
    height, width, channels = image.shape
    noise = torch.zeros(1, channels, height, width)
    noise.view(1, -1)[0, : len(numbers)] = torch.tensor(numbers)
    moved: np.ndarray = Moves((channels, height, width), ranges)(torch.from_numpy(image)[None], noise)[0].numpy()
    return moved


def draw_picture(height: int, width: int, channels: int = 1) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), np.uint8)


def is_near(one: np.ndarray, other: np.ndarray) -> bool:
    return bool(np.abs(one.astype(int) - other).max() <= 1)


@pytest.mark.parametrize("shape", [(8, 8, 1), (10, 13, 3)])
def test_without_ranges_an_image_stays_as_it_is_whatever_its_noise(shape: tuple[int, int, int]) -> None:
    image = draw_picture(*shape)
    assert np.array_equal(move(image, Ranges(), -1.3, 2.0, 0.4, -0.2, -3.0), image)


@pytest.mark.parametrize("side", [8, 9])
def test_half_of_180_degrees_is_a_quarter_turn(side: int) -> None:
    image = draw_picture(side, side, 3)
    one, other = (move(image, Ranges(rotation=180.0), sign * HALF) for sign in (1, -1))
    assert is_near(one, np.rot90(image, -1)) and is_near(other, np.rot90(image))
    assert is_near(move(image, Ranges(rotation=180.0), END), np.rot90(image, 2))


def test_a_turn_keeps_distances_in_pixels_where_sides_differ() -> None:
    image = np.zeros((11, 17, 1), np.uint8)
    image[5, 8 + 3] = 200  # three pixels to the right of the centre
    turned = move(image, Ranges(rotation=180.0), HALF)
    assert np.argwhere(turned[..., 0] > 100).tolist() == [[5 + 3, 8]]


def test_a_shift_moves_whole_pixels_and_repeats_the_edge() -> None:
    image = draw_picture(8, 16)
    right = move(image, Ranges(shift=0.25), MIDDLE, MIDDLE, HALF)  # half of a quarter of 16 pixels
    assert is_near(right, image[:, [0, 0, *range(14)]])
    down = move(image, Ranges(shift=0.25), MIDDLE, MIDDLE, MIDDLE, HALF)
    assert is_near(down, image[[0, *range(7)]])


def test_an_image_is_mirrored_where_its_fifth_number_is_below_0() -> None:
    image = draw_picture(8, 10, 3)
    assert is_near(move(image, Ranges(mirror=True), 0, 0, 0, 0, -0.1), image[:, ::-1])
    assert is_near(move(image, Ranges(mirror=True), 0, 0, 0, 0, 0.1), image)


def test_a_scale_of_1_doubles_and_halves_at_most() -> None:
    image = np.zeros((16, 16, 1), np.uint8)
    image[6:10, 6:10] = 240
    for number, side in ((END, 8), (-END, 2)):
        area = float(move(image, Ranges(scale=1.0), MIDDLE, number).sum()) / 240
        assert area == pytest.approx(side**2, rel=0.1)


def test_shifts_are_uniform_and_independent_of_each_other() -> None:
    """A slope tells the shift from its middle: 8 grey levels a pixel, up to 4 pixels."""
    slope = np.broadcast_to((np.arange(16) * 8)[None, :, None], (16, 16, 1)).astype(np.uint8)
    noise = torch.from_numpy(draw_noise((2, 16, 16), seed=0, round_=0, unit="x", start=0, count=800))
    both = np.concatenate([slope, slope.transpose(1, 0, 2)], axis=2)
    images = torch.from_numpy(np.repeat(both[None], 800, 0))
    moved = Moves((2, 16, 16), Ranges(shift=0.25))(images, noise)[:, 7:9, 7:9].double().mean(dim=(1, 2)).numpy()
    shifts = (moved - 60) / 32
    for axis in (0, 1):
        assert stats.kstest(shifts[:, axis], stats.uniform(-1, 2).cdf).pvalue > 0.01
    assert abs(np.corrcoef(shifts.T)[0, 1]) < 0.1
    assert NUMBERS == 5
