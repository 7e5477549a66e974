"""Contact sheets: tiled and encoded images are recovered pixel by pixel."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ops.pictures.sheets import GAP, encode_sheet, rows_by_class, tile, to_data_uri, write_sheet


def make_images(count: int, channels: int = 1, side: int = 5) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, side, side + 1, channels), np.uint8)


def decode(png: bytes) -> np.ndarray:
    pixels = np.asarray(Image.open(io.BytesIO(png)))
    return pixels if pixels.ndim == 3 else pixels[..., None]


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_tiles_come_back(channels: int) -> None:
    rows = [make_images(3, channels), make_images(2, channels)]
    sheet = decode(encode_sheet(tile(rows, background=7)))
    assert sheet.shape == (2 * 5 + GAP, 3 * 6 + 2 * GAP, channels)
    for y, row in enumerate(rows):
        for x, image in enumerate(row):
            top, left = y * (5 + GAP), x * (6 + GAP)
            assert np.array_equal(sheet[top : top + 5, left : left + 6], image)
    assert (sheet[5 : 5 + GAP] == 7).all() and (sheet[5 + GAP :, -6:] == 7).all(), "gaps and what a short row leaves"


def test_enlarging_repeats_pixels() -> None:
    sheet = tile([make_images(1, 3)])
    assert np.array_equal(decode(encode_sheet(sheet, scale=3)), sheet.repeat(3, 0).repeat(3, 1))


def test_rows_hold_the_first_of_each_class() -> None:
    images, labels = make_images(6), np.array([1, 0, 1, 1, 0, 2])
    rows = rows_by_class(images, labels, classes=4, per_class=2)
    assert [len(row) for row in rows] == [2, 2, 1, 0]
    assert np.array_equal(rows[1], images[[0, 2]])


def test_a_sheet_with_an_empty_class_is_written(tmp_path: Path) -> None:
    rows = rows_by_class(make_images(2), np.array([0, 0]), classes=2, per_class=8)
    write_sheet(tmp_path / "sheet.png", rows)
    assert Image.open(tmp_path / "sheet.png").size == (2 * (2 * 6 + GAP), 2 * (2 * 5 + GAP))


def test_a_sheet_without_images_is_blank(tmp_path: Path) -> None:
    write_sheet(tmp_path / "sheet.png", [np.zeros((0, 8, 8, 1), np.uint8)] * 2)
    assert np.asarray(Image.open(tmp_path / "sheet.png")).min() == 255


def test_a_data_uri_holds_the_png() -> None:
    png = encode_sheet(tile([make_images(1)]))
    head, _, body = to_data_uri(png).partition(",")
    assert head == "data:image/png;base64" and base64.b64decode(body) == png
