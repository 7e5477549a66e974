"""The one place where a user's images change: mode, orientation and size."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ops.datasets.listings import convert_image


@pytest.mark.parametrize(
    ("mode", "channels"),
    [("1", 1), ("L", 1), ("LA", 1), ("I;16", 1), ("P", 3), ("RGB", 3), ("RGBA", 3), ("CMYK", 3)],
)
def test_modes_become_grey_or_rgb(mode: str, channels: int) -> None:
    image = Image.new(mode, (5, 4), "white")
    assert convert_image(image, None).shape == (4, 5, channels)
    assert convert_image(image, 3).shape == (3, 3, channels)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L"])
def test_transparent_pixels_are_refused_because_their_colour_is_nobodys(mode: str) -> None:
    image = Image.new("RGBA", (5, 4), (9, 9, 9, 255)).convert(mode)
    if mode in ("RGBA", "LA"):
        image.putpixel((0, 0), (9, 9, 9, 254) if mode == "RGBA" else (9, 254))
    else:
        image.info["transparency"] = image.getpixel((0, 0))  # as PNG and GIF name one colour that is seen through
    with pytest.raises(ValueError, match="transparent pixels; allowed: opaque ones, so put it on a background first"):
        convert_image(image, None)


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP", "TIFF"])
def test_an_animation_is_refused_and_a_single_frame_is_an_image(kind: str) -> None:
    frames = [Image.new("L", (5, 4), grey) for grey in (0, 100, 200)]
    stream, single = io.BytesIO(), io.BytesIO()
    frames[0].save(stream, kind, save_all=True, append_images=frames[1:])
    frames[0].save(single, kind, save_all=True)
    with pytest.raises(ValueError, match="it is an animation; allowed: one image in a file"):
        convert_image(Image.open(stream), None)
    assert (convert_image(Image.open(single), None) == 0).all()


def test_a_cameras_file_with_previews_gives_its_picture() -> None:
    stream = io.BytesIO()
    Image.new("L", (5, 4), 200).save(stream, "MPO", save_all=True, append_images=[Image.new("L", (5, 4))])
    image = Image.open(stream)
    assert image.is_animated
    assert convert_image(image, None).mean() > 190


def test_sixteen_bit_grey_keeps_the_upper_byte_and_float_is_refused() -> None:
    values = np.array([[0, 255, 256, 65_535]], np.uint16)
    assert convert_image(Image.fromarray(values), None).ravel().tolist() == [0, 0, 1, 255]
    with pytest.raises(ValueError, match=r"pixels of mode F \(32 bit\); allowed: 8 or 16 bit"):
        convert_image(Image.new("F", (2, 2)), None)


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    image = Image.fromarray(np.arange(0, 240, 40, dtype=np.uint8).reshape(2, 3))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show it rotated by 90 degrees clockwise
    image.save(tmp_path / "a.png", exif=exif)
    turned = convert_image(Image.open(tmp_path / "a.png"), None)
    np.testing.assert_array_equal(turned[:, :, 0], np.rot90(np.asarray(image), k=-1))


def test_resizing_keeps_the_aspect_and_the_middle() -> None:
    wide = np.zeros((10, 30), np.uint8)
    wide[:, 10:20] = 200
    assert (convert_image(Image.fromarray(wide), 10) == 200).all()
    image = Image.fromarray(np.random.default_rng(3).integers(0, 256, (12, 12, 3), dtype=np.uint8))
    reference = image.resize((5, 5), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(convert_image(image, 5), np.asarray(reference))
    np.testing.assert_array_equal(convert_image(image, 12), np.asarray(image))
