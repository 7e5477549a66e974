"""Corruptions: each against what it should do to images of which that is known, and all against their severities."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy import ndimage, stats

from ops.datasets.corruptions import (
    CORRUPTIONS,
    SEVERITIES,
    SIDE,
    blur_gaussian,
    blur_motion,
    brighten,
    corrupt,
    distort,
    draw_line,
    pixelate,
)

KINDS = sorted(CORRUPTIONS)


def draw_pictures(count: int, height: int, width: int, channels: int) -> np.ndarray:
    """Soft textures with a bright rectangle and a dark disc, uint8 [n, H, W, C]."""
    rng, side = np.random.default_rng(height * width + channels), min(height, width)
    texture = ndimage.gaussian_filter(rng.standard_normal((count, height, width, channels)), (0, 1, 1, 0))
    found = 0.35 + 0.1 * texture / texture.std()
    down, across = np.mgrid[:height, :width]
    for image in found:
        top, left = rng.integers(0, side // 2, 2)
        image[top : top + side // 3, left : left + side // 2] += rng.uniform(0.1, 0.5, channels)
        image[np.hypot(down - height * 0.6, across - width * 0.5) < side / 5] *= 0.2
    return (found.clip(0, 1) * 255).round().astype(np.uint8)


def name_keys(count: int) -> list[str]:
    return [f"{number:016x}" for number in range(count)]


def plain(level: int, count: int = 20, side: int = 32, channels: int = 1) -> np.ndarray:
    return np.full((count, side, side, channels), level, np.uint8)


def change(images: np.ndarray, kind: str, severity: int, seed: int = 0) -> np.ndarray:
    return corrupt(images, name_keys(len(images)), kind, severity, seed=seed)


def read_draws(count: int) -> list[np.random.Generator]:
    return [np.random.default_rng([0, number]) for number in range(count)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [(28, 28, 1), (32, 32, 3), (48, 40, 1), (64, 72, 3)])
def test_the_distance_to_the_clean_image_grows_with_the_severity(kind: str, shape: tuple[int, int, int]) -> None:
    images = draw_pictures(8, *shape)
    before = images.copy()
    each = [change(images, kind, severity) for severity in SEVERITIES]
    assert all(found.shape == images.shape and found.dtype == np.uint8 for found in each)
    distances = [float(((found / 255 - images / 255) ** 2).mean() ** 0.5) for found in each]
    assert distances[0] > 0 and all(less < more for less, more in pairwise(distances)), distances
    assert distances[-1] < 0.4, "an image is still there"
    np.testing.assert_array_equal(images, before)


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_has_its_own_draws_wherever_it_stands(kind: str) -> None:
    images, keys = draw_pictures(6, 16, 20, 3), name_keys(6)
    whole = corrupt(images, keys, kind, 4, seed=3)
    order = [5, 0, 3]
    part = corrupt(images[order], [keys[row] for row in order], kind, 4, seed=3)
    np.testing.assert_array_equal(part, whole[order])
    others = corrupt(images, keys, kind, 4, seed=4)
    drawn = kind in {"gaussian_noise", "shot_noise", "impulse_noise", "motion_blur", "elastic"}
    assert np.array_equal(whole, others) != drawn
    if drawn:
        twins = corrupt(np.repeat(images[:1], 2, axis=0), keys[:2], kind, 4, seed=3)
        assert not np.array_equal(*twins)


def test_noises_follow_their_laws() -> None:
    grey = plain(128, 60)
    for severity, amount in zip(SEVERITIES, CORRUPTIONS["gaussian_noise"].amounts, strict=True):
        moved = change(grey, "gaussian_noise", severity) / 255 - 128 / 255
        assert moved.std() == pytest.approx(amount, rel=0.02) and abs(moved.mean()) < 0.002
    assert stats.kstest(moved[::7].ravel() / amount, "norm").statistic < 0.02
    for severity, photons in zip(SEVERITIES, CORRUPTIONS["shot_noise"].amounts, strict=True):
        bright, dark = (change(plain(level, 60), "shot_noise", severity) / 255 for level in (128, 32))
        assert bright.var() == pytest.approx(128 / 255 / photons, rel=0.05)
        assert dark.var() == pytest.approx(32 / 255 / photons, rel=0.05)
    assert not change(plain(0), "shot_noise", 5).any(), "where no light is, nothing is counted"
    hit = [change(grey, "impulse_noise", severity) for severity in SEVERITIES]
    for found, amount in zip(hit, CORRUPTIONS["impulse_noise"].amounts, strict=True):
        assert set(np.unique(found)) == {0, 128, 255}
        for level in (0, 255):
            assert (found == level).mean() == pytest.approx(amount / 2, rel=0.1)
    for less, more in pairwise(hit):
        assert (more[less != 128] == less[less != 128]).all(), "a more severe one has the same draws, and more of them"


def test_a_gaussian_blur_is_one_of_its_width_and_grows_with_the_image() -> None:
    for side in (SIDE, 3 * SIDE):
        point = np.zeros((1, side, side, 1))
        point[0, side // 2, side // 2] = 1.0
        profile, places = blur_gaussian(point, 1.5, iter(()))[0, :, :, 0].sum(axis=1), np.arange(side) - side // 2
        assert profile.sum() == pytest.approx(1)
        assert (profile * places**2).sum() == pytest.approx((1.5 * side / SIDE) ** 2, rel=0.02)
    np.testing.assert_array_equal(change(plain(77), "gaussian_blur", 5), plain(77))


@pytest.mark.parametrize("angle", [0.0, 0.7, np.pi / 2, 2.5])
def test_a_motion_is_a_line_of_its_length_and_direction(angle: float) -> None:
    for length in (2.0, 7.0, 12.5):
        kernel = draw_line(length, angle)
        places = np.arange(len(kernel)) - len(kernel) // 2
        down, across = np.meshgrid(places, places, indexing="ij")
        along = down * np.sin(angle) + across * np.cos(angle)
        aside = across * np.sin(angle) - down * np.cos(angle)
        assert kernel.sum() == pytest.approx(1) and (kernel >= 0).all()
        assert (kernel * along).sum() == pytest.approx(0, abs=1e-9)
        # A point that four pixels share adds up to a quarter along each axis.
        assert -1e-9 < (kernel * along**2).sum() - length**2 / 12 * (1 - 1 / (8 * (len(kernel) // 2)) ** 2) < 0.3
        assert (kernel * aside**2).sum() < 0.3


def test_a_motion_blur_keeps_plain_images_and_scales_its_length() -> None:
    np.testing.assert_array_equal(change(plain(200), "motion_blur", 5), plain(200))
    for side in (32, 96):
        line = np.zeros((1, side, side, 1))
        line[0, :, side // 2] = 1.0  # a column, which only the part of a motion across it widens
        (rng,) = read_draws(1)
        across = abs(np.cos(np.pi * np.random.default_rng([0, 0]).random())) * 7.0 * side / SIDE
        width = float((blur_motion(line, 7.0, iter([rng]))[0, side // 2, :, 0] > 0.01).sum())
        assert abs(width - across) <= 2.5


def test_brightness_keeps_hue_and_saturation() -> None:
    colours = np.random.default_rng(0).uniform(0, 0.6, (3, 8, 8, 3))
    found = brighten(colours, 0.3, iter(()))
    np.testing.assert_allclose(found.max(axis=3), colours.max(axis=3) + 0.3)
    np.testing.assert_allclose(found / found.max(axis=3, keepdims=True), colours / colours.max(axis=3, keepdims=True))
    assert (brighten(np.zeros((1, 2, 2, 3)), 0.2, iter(())) == 0.2).all()
    assert (change(plain(100), "brightness", 1) == round(100 + 0.05 * 255)).all()
    assert (change(plain(250), "brightness", 5) == 255).all()


def test_contrast_shrinks_each_channel_around_its_mean() -> None:
    images = draw_pictures(4, 24, 24, 3)
    found = change(images, "contrast", 2).astype(float)
    np.testing.assert_allclose(found.mean(axis=(1, 2)), images.mean(axis=(1, 2)), atol=0.5)
    np.testing.assert_allclose(found.std(axis=(1, 2)), 0.5 * images.std(axis=(1, 2)), rtol=0.02)


def test_pixelate_means_over_cells_by_area() -> None:
    images = draw_pictures(3, 8, 12, 3) / 255
    expected = images.reshape(3, 4, 2, 6, 2, 3).mean(axis=(2, 4)).repeat(2, axis=1).repeat(2, axis=2)
    np.testing.assert_allclose(pixelate(images, 0.5, iter(())), expected)
    np.testing.assert_allclose(pixelate(images, 0.01, iter(())), images.mean(axis=(1, 2), keepdims=True) + 0 * images)
    np.testing.assert_allclose(pixelate(images, 1.0, iter(())), images)
    # Three pixels become two cells of 1.5, and the middle one lies half in each.
    row = pixelate(np.array([0.0, 0.6, 0.9]).reshape(1, 1, 3, 1), 2 / 3, iter(()))[0, 0, :, 0]
    np.testing.assert_allclose(row, [0.2, 0.5, 0.8])


def test_jpeg_keeps_plain_images_and_knows_grey_and_colour() -> None:
    for channels in (1, 3):
        found = change(plain(90, channels=channels), "jpeg", 5)
        assert np.abs(found.astype(int) - 90).max() <= 1


def test_an_elastic_distortion_moves_pixels_by_its_amount_and_neighbours_alike() -> None:
    for height, width in ((32, 32), (80, 64)):
        slopes = np.stack([np.mgrid[:height, :width][axis] for axis in (0, 1)])[..., None] / 100.0
        # The same draws for both: how far pixels moved down and across. The border, whose rows repeat, moves less.
        moved = np.concatenate([distort(slope[None], 1.5, iter(read_draws(1))) - slope for slope in slopes]) * 100
        inside = moved[:, 6:-6, 6:-6, 0]
        length = float(np.sqrt((inside**2).sum(axis=0).mean())) * SIDE / min(height, width)
        assert 1.0 < length < 2.0
        assert np.abs(np.diff(inside, axis=1)).mean() < 0.5 * np.abs(inside).mean()


@pytest.mark.parametrize(
    ("images", "keys", "kind", "severity", "sentence"),
    [
        (plain(0).astype(float), 20, "jpeg", 1, r"images are float64 \[20, 32, 32, 1\]; allowed: uint8"),
        (plain(0, channels=2), 20, "jpeg", 1, r"images are uint8 \[20, 32, 32, 2\]"),
        (plain(0), 19, "jpeg", 1, "there are 20 images and 19 keys"),
        (plain(0), 20, "fog", 1, "the corruption is fog; allowed: gaussian_noise, "),
        (plain(0), 20, "jpeg", 6, "the severity is 6; allowed: 1 to 5"),
        (plain(0), 20, "jpeg", 0, "the severity is 0; allowed: 1 to 5"),
    ],
)
def test_what_is_not_possible_is_said(images: np.ndarray, keys: int, kind: str, severity: int, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        corrupt(images, name_keys(keys), kind, severity, seed=0)
