"""Every image lies where the page looks for it, pixel by pixel if it is small."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ops.exploring.sheets import Layout, plan_layout, write_sheets
from ops.pictures.strips import shrink


def cut(folder: Path, layout: Layout, row: int) -> np.ndarray:
    """The thumbnail of a row, as the page cuts it out."""
    with Image.open(folder / f"{row // layout.images}.{layout.extension}") as sheet:
        pixels = np.asarray(sheet)
    place = row % layout.images
    y, x = place // layout.across * layout.height, place % layout.across * layout.width
    return pixels[y : y + layout.height, x : x + layout.width]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("batch", [1, 5, 64])
def test_small_images_are_kept_as_they_are(tmp_path: Path, channels: int, batch: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (23, 6, 9, channels), np.uint8)
    layout = Layout(9, 6, 2, 4, 9, 6)  # eight on a sheet; the last one is not full
    size = write_sheets(tmp_path, layout, (images[at : at + batch] for at in range(0, 23, batch)))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.png", "1.png", "2.png"]
    assert size == sum(path.stat().st_size for path in tmp_path.iterdir())
    for row, image in enumerate(images):
        np.testing.assert_array_equal(cut(tmp_path, layout, row), image if channels == 3 else image[..., 0])


def test_large_images_are_averaged_down(tmp_path: Path) -> None:
    images = np.linspace(0, 255, 3 * 150 * 100).reshape(3, 150, 100, 1).astype(np.uint8)
    layout = plan_layout(150, 100)
    assert (layout.height, layout.width, layout.extension) == (50, 33, "jpg")
    write_sheets(tmp_path, layout, [images])
    for row in range(3):
        apart = abs(cut(tmp_path, layout, row).astype(int) - shrink(images[row : row + 1], 64)[0, ..., 0])
        assert apart.mean() < 1 and apart.max() <= 16  # a JPEG blurs the edge to the next picture a little


def test_layouts_fill_a_sheet_of_about_512_pixels() -> None:
    for height, width in ((1, 1), (8, 8), (28, 28), (64, 64), (28, 60), (224, 224), (600, 20)):
        layout = plan_layout(height, width)
        assert layout.images >= 1
        assert max(layout.across * layout.width, layout.down * layout.height) <= 512
        assert max(layout.width, layout.height) <= 64


def test_images_of_another_size_are_refused(tmp_path: Path) -> None:
    layout = plan_layout(8, 8)
    with pytest.raises(ValueError, match="the first ones were"):
        write_sheets(tmp_path, layout, [np.zeros((2, 8, 8, 1), np.uint8), np.zeros((2, 8, 9, 1), np.uint8)])
