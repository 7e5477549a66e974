"""Looks of pictures that are known, and odd pictures among digits."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageFilter

from ops.inspection.looks import find_blank, find_blurred, find_grey, find_noisy, measure, summarise
from tests.inspected import take_digits


def test_looks_of_known_pictures() -> None:
    white = np.full((8, 8, 3), 255)
    red = np.zeros((8, 8, 3))
    red[..., 0] = 255
    halves = np.zeros((8, 8, 3))
    halves[:, 4:] = 255
    looks = measure(np.stack([white, red, halves]).astype(np.uint8))
    assert looks.brightness == pytest.approx([1, 1 / 3, 0.5])
    assert looks.colour == pytest.approx([0, 1, 0])
    assert looks.contrast == pytest.approx([0, 0, 0.5])
    # The Laplacian is 1 and -1 in the two columns at the edge, of eight: sqrt(2 / 8) / 0.5.
    assert looks.sharpness == pytest.approx([0, 0, 1])
    assert find_blank(looks).tolist() == [0, 1]


def test_blurred_noisy_and_blank_pictures_are_found() -> None:
    images, _ = take_digits(200, 24)
    images[10] = np.asarray(Image.fromarray(images[10, ..., 0]).filter(ImageFilter.GaussianBlur(4)))[..., None]
    images[20] = np.random.default_rng(0).integers(0, 256, images[20].shape)
    images[30] = 77
    looks = measure(images)
    assert find_blurred(looks).tolist() == [10]
    assert find_noisy(looks).tolist() == [20]
    assert find_blank(looks).tolist() == [30]


def test_grey_pictures_are_odd_among_colour_only() -> None:
    images = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3), np.uint8)
    images[2] = images[2, ..., :1]
    assert find_grey(images, measure(images)).tolist() == [2]
    images[1:5] = images[1:5, ..., :1]
    assert find_grey(images, measure(images)).tolist() == []
    assert find_grey(images[..., :1], measure(images[..., :1])).tolist() == []


def test_a_summary_has_percentiles_and_none_of_nothing() -> None:
    images, _ = take_digits(50)
    summary = summarise(measure(images))
    assert set(summary) == {"brightness", "contrast", "colour", "sharpness"}
    assert all(values["p5"] <= values["p50"] <= values["p95"] for values in summary.values())
    assert summarise(measure(images[:0])) == {}
    assert len(find_blurred(measure(images[:5]))) == 0
