"""Nuisances: each operation against a slow independent one, each draw against its law, equal bytes for any order."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.datasets import load_digits

from ops.datasets.identity import content_ids
from ops.datasets.nuisances import (
    NUISANCES,
    draw_angles,
    draw_backgrounds,
    draw_strokes,
    fill_background,
    filter_strokes,
    rotate_images,
)

DIGITS = (load_digits().images * 15).astype(np.uint8)[..., None]  # light strokes on exact zeros, 8 x 8
KEYS = content_ids(DIGITS)
MANY = [f"{i:016x}" for i in range(50_000)]
Nuisance = Callable[..., tuple[np.ndarray, pl.DataFrame]]


def filter_slowly(image: np.ndarray, operation: str, side: int) -> np.ndarray:
    """One grey image [H, W]: the window of OpenCV's definition, cut at the border."""
    result = np.empty_like(image)
    anchor = side // 2
    for y in range(image.shape[0]):
        for x in range(image.shape[1]):
            top, left = max(0, y - anchor), max(0, x - anchor)
            window = image[top : y - anchor + side, left : x - anchor + side]
            result[y, x] = window.max() if operation == "dilate" else window.min()
    return result


def weigh(distance: float) -> float:
    """The cubic convolution kernel of Keys (1981) with a = -1, Pillow's choice for transforms."""
    d = abs(distance)
    if d < 1:
        return d**3 - 2 * d**2 + 1
    return -(d**3) + 5 * d**2 - 8 * d + 4 if d < 2 else 0.0


def rotate_slowly(image: np.ndarray, degrees: float) -> np.ndarray:
    """One grey image [H, W] turned anticlockwise about its centre, float64, from the definition."""
    height, width = image.shape
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    result = np.zeros(image.shape)
    for row in range(height):
        for column in range(width):
            right, down = column + 0.5 - width / 2, row + 0.5 - height / 2
            x, y = cosine * right - sine * down + width / 2, sine * right + cosine * down + height / 2
            if not (0 <= x < width and 0 <= y < height):
                continue
            left, top = int(np.floor(x - 0.5)), int(np.floor(y - 0.5))
            for j in range(top - 1, top + 3):
                for i in range(left - 1, left + 3):
                    pixel = image[min(max(j, 0), height - 1), min(max(i, 0), width - 1)]
                    result[row, column] += weigh(x - 0.5 - i) * weigh(y - 0.5 - j) * pixel
    return np.clip(result, 0, 255)


def test_strokes_equal_opencv() -> None:
    """Written down from cv2.dilate and cv2.erode 5.0.0 with np.ones((side, side))."""
    image = np.zeros((1, 5, 5, 1), np.uint8)
    image[0, 1, 1], image[0, 3, 4] = 9, 5
    two = [[0, 0, 0, 0, 0], [0, 9, 9, 0, 0], [0, 9, 9, 0, 0], [0, 0, 0, 0, 5], [0, 0, 0, 0, 5]]
    four = [[9, 9, 9, 9, 0], [9, 9, 9, 9, 0], [9, 9, 9, 9, 5], [9, 9, 9, 9, 5], [0, 0, 0, 5, 5]]
    for side, expected in ((2, two), (4, four)):
        sides = np.array([side])
        assert filter_strokes(image, ["dilate"], sides)[0, ..., 0].tolist() == expected
        eroded = filter_strokes(255 - image, ["erode"], sides)[0, ..., 0]
        assert (255 - eroded).tolist() == expected


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 6), st.sampled_from(["dilate", "erode"]), st.integers(1, 7), st.integers(1, 7), st.integers(0, 99)
)
def test_strokes_equal_the_slow_definition(side: int, operation: str, height: int, width: int, seed: int) -> None:
    images = np.random.default_rng(seed).integers(0, 256, (2, height, width, 3), dtype=np.uint8)
    found = filter_strokes(images, [operation] * 2, np.full(2, side))
    for image, result in zip(images, found, strict=True):
        for channel in range(3):
            expected = filter_slowly(image[..., channel], operation, side)
            np.testing.assert_array_equal(result[..., channel], expected)


def test_strokes_of_each_image_follow_its_own_draw() -> None:
    changed, frame = NUISANCES["strokes"](DIGITS[:60], KEYS[:60], seed=0)
    assert frame.n_unique() == 5
    for image, result, (operation, side) in zip(DIGITS, changed, frame.iter_rows(), strict=False):
        np.testing.assert_array_equal(result[..., 0], filter_slowly(image[..., 0], operation, side))


def test_dilation_grows_erosion_shrinks_and_side_one_changes_nothing() -> None:
    count = len(DIGITS)
    assert (filter_strokes(DIGITS, ["dilate"] * count, np.full(count, 3)) >= DIGITS).all()
    assert (filter_strokes(DIGITS, ["erode"] * count, np.full(count, 2)) <= DIGITS).all()
    np.testing.assert_array_equal(filter_strokes(DIGITS, ["erode"] * count, np.ones(count)), DIGITS)


@settings(max_examples=15, deadline=None)
@given(st.floats(-180, 180), st.sampled_from([(8, 8), (7, 10), (9, 6)]), st.integers(0, 99))
def test_rotation_equals_the_slow_definition(angle: float, shape: tuple[int, int], seed: int) -> None:
    image = np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)
    found = rotate_images(image[None, ..., None], np.array([angle]))[0, ..., 0].astype(float)
    off = abs(found - rotate_slowly(image, angle)) > 1  # a level for the rounding
    # Pillow rounds the sine and cosine; a pixel on the very edge may fall to the other side of it.
    assert off.mean() <= (0.0 if abs((angle + 45) % 90 - 45) > 0.01 else 0.5)


def test_right_angles_only_move_pixels() -> None:
    for turns, angle in enumerate((0.0, 90.0, -180.0, -90.0)):
        found = rotate_images(DIGITS[:20], np.full(20, angle))
        np.testing.assert_array_equal(found, np.rot90(DIGITS[:20], turns, axes=(1, 2)))


def test_rotation_fills_with_zero_and_keeps_the_middle() -> None:
    white = np.full((1, 20, 20, 3), 255, np.uint8)
    found = rotate_images(white, np.array([45.0]))[0]
    assert (found[[0, 0, -1, -1], [0, -1, 0, -1]] == 0).all()
    assert (found[6:14, 6:14] == 255).all()


def test_the_background_changes_pixels_that_are_exactly_zero() -> None:
    changed, frame = NUISANCES["background"](DIGITS, KEYS, seed=0)
    empty = DIGITS == 0
    assert empty.any() and (DIGITS == 15).any()
    np.testing.assert_array_equal(changed[~empty], DIGITS[~empty])
    levels = np.broadcast_to(frame["background"].to_numpy()[:, None, None, None], DIGITS.shape)
    np.testing.assert_array_equal(changed[empty], levels[empty])


def test_a_coloured_pixel_with_a_zero_channel_is_not_background() -> None:
    image = np.array([[[[0, 0, 0], [0, 0, 1], [0, 9, 0]]]], np.uint8)
    assert fill_background(image, np.array([7])).tolist() == [[[[7, 7, 7], [0, 0, 1], [0, 9, 0]]]]


def test_angles_are_uniform() -> None:
    angles = draw_angles(MANY, seed=0)["angle"].to_numpy()
    assert angles.min() >= -180 and angles.max() < 180
    assert stats.kstest(angles, stats.uniform(-180, 360).cdf).pvalue > 1e-4


def test_backgrounds_are_uniform_in_0_to_99() -> None:
    frame = draw_backgrounds(MANY, seed=0)
    assert frame.schema == {"background": pl.UInt8}
    counts = np.bincount(frame["background"].to_numpy(), minlength=100)
    assert len(counts) == 100
    assert stats.chisquare(counts).pvalue > 1e-4


def test_strokes_have_the_stated_probabilities() -> None:
    frame = draw_strokes(MANY, seed=0)
    assert frame.schema == {"operation": pl.String, "side": pl.UInt8}
    law = {("dilate", 2): 0.2, ("dilate", 3): 0.2, ("dilate", 4): 0.2, ("erode", 1): 0.2, ("erode", 2): 0.2}
    counts = {(operation, side): count for operation, side, count in frame.group_by(frame.columns).len().iter_rows()}
    assert counts.keys() == law.keys()
    expected = [law[pair] * len(MANY) for pair in law]
    assert stats.chisquare([counts[pair] for pair in law], expected).pvalue > 1e-4


def test_a_fifth_of_the_images_keeps_its_strokes() -> None:
    changed, frame = NUISANCES["strokes"](DIGITS, KEYS, seed=0)
    same = (changed == DIGITS).all(axis=(1, 2, 3))
    np.testing.assert_array_equal(same, frame["side"].to_numpy() == 1)
    assert stats.binomtest(int(same.sum()), len(same), 0.2).pvalue > 1e-4


@pytest.mark.parametrize("apply", NUISANCES.values(), ids=NUISANCES.keys())
def test_bytes_are_equal_for_any_chunks_and_order(apply: Nuisance) -> None:
    ks = np.arange(200) % 3
    whole, frame = apply(DIGITS[:200], KEYS[:200], seed=5, ks=ks)
    order = np.random.default_rng(0).permutation(200)
    for part in np.array_split(order, 7):
        images, draws = apply(DIGITS[part], [KEYS[i] for i in part], seed=5, ks=ks[part])
        assert images.tobytes() == whole[part].tobytes()
        assert draws.equals(frame[part])


@pytest.mark.parametrize("apply", NUISANCES.values(), ids=NUISANCES.keys())
def test_k_and_seed_give_other_draws_and_nothing_is_written_in_place(apply: Nuisance) -> None:
    before = DIGITS[:100].copy()
    first, again = apply(before, KEYS[:100], seed=0), apply(before, KEYS[:100], seed=0, ks=np.zeros(100, int))
    np.testing.assert_array_equal(before, DIGITS[:100])
    assert first[1].equals(again[1]) and first[0].tobytes() == again[0].tobytes()
    assert not first[1].equals(apply(before, KEYS[:100], seed=0, ks=np.ones(100, int))[1])
    assert not first[1].equals(apply(before, KEYS[:100], seed=1)[1])


@pytest.mark.parametrize("apply", NUISANCES.values(), ids=NUISANCES.keys())
def test_colour_keeps_its_shape_and_empty_input_is_allowed(apply: Nuisance) -> None:
    colour = np.repeat(DIGITS[:20], 3, axis=3)
    changed, _ = apply(colour, KEYS[:20], seed=0)
    grey, _ = apply(DIGITS[:20], KEYS[:20], seed=0)
    np.testing.assert_array_equal(changed, np.repeat(grey, 3, axis=3))
    nothing, frame = apply(DIGITS[:0], [], seed=0)
    assert nothing.shape == (0, 8, 8, 1) and frame.height == 0


def test_mistakes_of_the_caller() -> None:
    with pytest.raises(ValueError, match=r"images are float64 \[2, 8, 8, 1\]; allowed: uint8"):
        rotate_images(DIGITS[:2].astype(float), np.zeros(2))
    with pytest.raises(ValueError, match="there are 2 images and 1 draws"):
        fill_background(DIGITS[:2], np.zeros(1))
    with pytest.raises(ValueError, match="the operation is open; allowed: dilate, erode"):
        filter_strokes(DIGITS[:1], ["open"], np.ones(1))
    with pytest.raises(ValueError, match="the side is 0; allowed: 1 and more"):
        filter_strokes(DIGITS[:1], ["erode"], np.zeros(1, np.uint8))
