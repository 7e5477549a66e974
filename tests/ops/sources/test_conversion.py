"""Conversion of a user's images: mode, depth, orientation, background and size, each change counted."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ops.datasets.png import encode_png
from ops.errors import DamagedData, UserError
from ops.inspection.inspection import inspect_pictures
from ops.inspection.opening import count_images, list_source, open_pictures
from ops.sources.conversion import SUFFIXES, Converter
from ops.sources.listing import Piece
from ops.sources.reading import read_training
from ops.sources.sketch import sketch_source
from ops.sources.spec import SourceSpec

NOISE = np.random.default_rng(3).integers(0, 256, (12, 20, 3), dtype=np.uint8)


def make_converter(**keys: object) -> Converter:
    base = {"name": "x", "kind": "folder", "path": "x", "licence": "CC0"}
    return Converter(SourceSpec.model_validate({**base, **keys}))


def encode(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def convert(payload: bytes, name: str = "x", **keys: object) -> tuple[np.ndarray, dict[str, int]]:
    converter = make_converter(**keys)
    return converter.convert_file(payload, name), dict(converter.counts)


@pytest.mark.parametrize(
    ("mode", "kind", "channels", "counted"),
    [
        ("1", "PNG", 1, "mode 1 to grey"),
        ("L", "PNG", 1, None),
        ("LA", "PNG", 1, "opaque alpha dropped"),
        ("I;16", "PNG", 1, "16 bits to 8"),
        ("I;16", "TIFF", 1, "16 bits to 8"),
        ("P", "PNG", 3, "mode P to RGB"),
        ("RGB", "PNG", 3, None),
        ("RGB", "BMP", 3, None),
        ("RGB", "TIFF", 3, None),
        ("RGB", "PPM", 3, None),
        ("L", "PPM", 1, None),
        ("RGB", "WEBP", 3, None),
        ("L", "JPEG", 1, None),
        ("RGBA", "PNG", 3, "opaque alpha dropped"),
        ("CMYK", "JPEG", 3, "mode CMYK to RGB"),
        ("CMYK", "TIFF", 3, "mode CMYK to RGB"),
    ],
)
def test_modes_become_grey_or_rgb_and_are_counted(mode: str, kind: str, channels: int, counted: str | None) -> None:
    white = {"I;16": 65_535, "CMYK": 0}.get(mode, "white")
    payload = encode(Image.new(mode, (5, 4), white), kind)
    pixels, counts = convert(payload)
    assert pixels.shape == (4, 5, channels) and (pixels >= 250).all()
    assert counts == ({counted: 1} if counted else {})
    assert convert(payload, size=3)[0].shape == (3, 3, channels)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L"])
def test_transparent_pixels_need_a_background(mode: str) -> None:
    image = Image.new("RGBA", (5, 4), (9, 9, 9, 255)).convert(mode)
    if mode in ("RGBA", "LA"):
        image.putpixel((0, 0), (9, 9, 9, 0) if mode == "RGBA" else (9, 0))
    else:
        image.putpixel((0, 0), 7)
        image.info["transparency"] = 7  # as PNG and GIF name their transparent colour
    payload = encode(image)
    with pytest.raises(
        UserError, match="^x: the image has transparent pixels; allowed: opaque ones, or a background: in"
    ):
        convert(payload)
    pixels, counts = convert(payload, background="white")
    assert pixels[0, 0].tolist() == [255] * pixels.shape[2] and (pixels[1:] == pixels[1, 0]).all()
    assert counts == {"put on the background": 1}
    assert pixels.shape[2] == (1 if mode in ("L", "LA") else 3)
    red, _ = convert(payload, background=[200, 0, 0])
    assert red[0, 0].tolist() == [200, 0, 0]


def test_half_transparent_pixels_are_blended() -> None:
    image = Image.new("RGBA", (2, 1), (100, 100, 100, 128))
    assert abs(int(convert(encode(image), background="black")[0][0, 0, 0]) - 50) <= 1


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_an_animation_is_refused_and_a_single_frame_is_an_image(kind: str) -> None:
    frames = [Image.new("L", (5, 4), grey) for grey in (0, 100, 200)]
    with pytest.raises(UserError, match="the file is an animation; allowed: one image in a file"):
        convert(encode(frames[0], kind, save_all=True, append_images=frames[1:]))
    assert (convert(encode(frames[0], kind, save_all=True))[0] == 0).all()


def test_a_camera_file_with_previews_gives_its_picture() -> None:
    payload = encode(Image.new("L", (5, 4), 200), "MPO", save_all=True, append_images=[Image.new("L", (5, 4))])
    assert vars(Image.open(io.BytesIO(payload)))["is_animated"]
    assert convert(payload)[0].mean() > 190


def test_sixteen_bits_keep_the_upper_byte_and_float_is_refused() -> None:
    values = np.array([[0, 255, 256, 65_535]], np.uint16)
    expected = [0, 0, 1, 255]
    for payload in (encode(Image.fromarray(values)), b"P5 4 1 65535\n" + values.astype(">u2").tobytes()):
        pixels, counts = convert(payload)
        assert pixels.ravel().tolist() == expected and counts == {"16 bits to 8": 1}
    with pytest.raises(UserError, match=r"^x: pixels of mode F \(32 bit\); allowed: 8 or 16 bit"):
        convert(encode(Image.new("F", (2, 2)), "TIFF"))


@pytest.mark.parametrize(
    ("largest", "told"),
    [
        (4_095, "exceeds 4,095 of 65,535, .* no more than 16 of their grey levels .* multiply all values by 16, or"),
        (255, "exceeds 255 of 65,535, .* no more than 1 of their grey levels .* multiply all values by 256, or"),
        (4_096, None),
        (0, None),  # black
    ],
)
def test_sixteen_bits_without_values_in_the_upper_byte_are_refused(
    tmp_path: Path, largest: int, told: str | None
) -> None:
    for row in range(8):
        place = tmp_path / "ab"[row % 2] / f"{row}.png"
        place.parent.mkdir(exist_ok=True)
        Image.fromarray(np.full((8, 8), largest * (row + 1) // 8, np.uint16)).save(place)
    spec = SourceSpec.model_validate({"name": "x", "kind": "folder", "path": str(tmp_path), "licence": "CC0"})
    for read in (read_training, lambda spec: sketch_source(spec.root, "x", "CC0")):
        if told is None:
            read(spec)
        else:
            with pytest.raises(UserError, match=f"^source x: no 16-bit value of its images {told}"):
                read(spec)
    listings = list_source(spec)
    counts = count_images(listings)
    facts = inspect_pictures(open_pictures(spec, listings, counts, limit=9), counts, name="x").facts
    faults = [entry["sentence"] for entry in facts["messages"] if "16-bit" in entry["sentence"]]
    assert len(faults) == (told is not None)


def test_deep_colour_is_counted_although_pillow_does_not_report_it() -> None:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0)
    body = zlib.compress(b"\0" + struct.pack(">3H", 65_535, 256, 0))
    payload = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    converter = make_converter()
    assert converter.convert_file(payload, "x").ravel().tolist() == [255, 1, 0]
    assert converter.counts == {"16 bits to 8": 1} and converter.peak == 65_535


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_exif_orientation_is_applied(kind: str) -> None:
    image = Image.fromarray(np.repeat(np.repeat(np.arange(0, 240, 40, dtype=np.uint8).reshape(2, 3), 8, 0), 8, 1))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: show it rotated by 90 degrees clockwise
    turned, counts = convert(encode(image, kind, exif=exif, **({"lossless": True} if kind == "WEBP" else {})))
    assert np.abs(turned[:, :, 0].astype(int) - np.rot90(np.asarray(image), k=-1)).max() <= (3 if kind == "JPEG" else 0)
    assert counts["turned upright by their EXIF tag"] == 1


def test_each_fit_does_what_its_name_says() -> None:
    wide = np.zeros((10, 30), np.uint8)
    wide[:, 10:20] = 200
    payload = encode(Image.fromarray(wide))
    assert (convert(payload, size=10)[0] == 200).all()
    padded, counts = convert(payload, size=30, fit="pad", background="white")
    assert (padded[:10] == 255).all() and (padded[20:] == 255).all()
    np.testing.assert_array_equal(padded[10:20, :, 0], wide)
    assert counts == {"resized (pad)": 1}
    assert convert(payload, size=30, fit="pad", background=[9, 0, 0])[0].shape == (30, 30, 3)
    assert (convert(payload, size=30, fit="pad")[0][0] == 0).all()
    stretched, _ = convert(encode(Image.fromarray(NOISE)), size=6, fit="stretch")
    np.testing.assert_array_equal(
        stretched, np.asarray(Image.fromarray(NOISE).resize((6, 6), Image.Resampling.BICUBIC))
    )


def test_the_right_size_is_left_alone() -> None:
    pixels, counts = convert(encode(Image.fromarray(NOISE[:, :12])), size=12)
    np.testing.assert_array_equal(pixels, NOISE[:, :12])
    assert counts == {}


def test_a_file_is_read_by_content_and_a_wrong_suffix_is_counted() -> None:
    payload = encode(Image.fromarray(NOISE), "BMP")
    assert convert(payload, "a/b.jpg")[1] == {"named .jpg, but BMP": 1}
    assert convert(payload, "a/b.bmp")[1] == convert(payload, "table.parquet, row 3")[1] == {}
    for payload in (b"<html>", b"PK\x03\x04" + bytes(99), encode(Image.new("L", (4, 4)), "GIF")):
        with pytest.raises(DamagedData, match="^a.png: not a readable image"):
            convert(payload, "a.png")


def test_pixels_and_stored_png_skip_pillow() -> None:
    batch = np.stack([NOISE[:12, :12]] * 3)
    files = [bytes(file) for file in encode_png(batch)]
    for content in (batch, files):
        images, positions = make_converter().convert(Piece(content, str))
        assert isinstance(images, np.ndarray) and positions.tolist() == [0, 1, 2]
        np.testing.assert_array_equal(images, batch)
        small, _ = make_converter(size=5).convert(Piece(content, str))
        np.testing.assert_array_equal(small[0], convert(files[0], size=5)[0])


def test_damaged_images_are_skipped_only_when_asked_and_counted() -> None:
    batch = np.stack([NOISE[:12, :12]] * 4)
    files = [bytes(file) for file in encode_png(batch)]
    files[1] = files[1][:50] + bytes([files[1][50] ^ 1]) + files[1][51:]  # a flipped bit: of one length still
    piece = Piece([*files, None], lambda i: f"row {i}")
    with pytest.raises(DamagedData, match="^row 1: "):
        make_converter().convert(piece)
    converter = make_converter(skip_damaged=True)
    images, positions = converter.convert(piece)
    assert positions.tolist() == [0, 2, 3] and len(images) == 3
    assert converter.counts == {"skipped, because damaged": 2}


def test_a_decompression_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    frame = struct.pack(">I", 13) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    end = struct.pack(">I", 0) + b"IEND" + struct.pack(">I", zlib.crc32(b"IEND"))
    with pytest.raises(DamagedData, match="x: not a readable image|pixels, more than the limit"):
        convert(b"\x89PNG\r\n\x1a\n" + frame + end)


def test_all_common_suffixes_are_read() -> None:
    assert {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".bmp", ".ppm", ".pgm"} <= set(SUFFIXES)
