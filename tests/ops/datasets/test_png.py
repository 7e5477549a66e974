"""Stored PNG against Pillow as an independent implementation, both ways, and every kind of damage."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from ops.datasets.imagefile import open_image
from ops.datasets.png import decode_png, decode_stored, encode_png
from ops.errors import DamagedData

SHAPES = [(1, 1, 1), (1, 1, 3), (28, 28, 1), (32, 32, 3), (17, 5, 3), (128, 128, 3), (128, 1, 1)]


@pytest.fixture(params=[0, 128], ids=["deflated", "stored"])
def stored_side(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Images up to this side are stored, larger ones deflated."""
    monkeypatch.setattr("ops.datasets.png.STORED_SIDE", request.param)


def draw_images(count: int, shape: tuple[int, int, int], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, *shape), dtype=np.uint8)


def open_with_pillow(payload: bytes) -> np.ndarray:
    image = Image.open(io.BytesIO(payload))
    return np.asarray(image).reshape(image.height, image.width, -1)


def save_with_pillow(image: np.ndarray, kind: str = "PNG", **options: int) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image).save(stream, kind, **options)
    return stream.getvalue()


@pytest.mark.parametrize("shape", SHAPES)
def test_pillow_reads_what_is_encoded(shape: tuple[int, int, int]) -> None:
    images = draw_images(5, shape)
    files = encode_png(images)
    for index, image in enumerate(images):
        np.testing.assert_array_equal(open_with_pillow(bytes(files[index])), image)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("level", [0, 6])
def test_what_pillow_wrote_is_decoded(shape: tuple[int, int, int], level: int) -> None:
    images = draw_images(3, shape)
    payloads = [save_with_pillow(image, compress_level=level) for image in images]
    np.testing.assert_array_equal(decode_png(payloads), images)


def test_small_images_are_stored_with_one_length_and_the_pixels_as_they_are() -> None:
    images = draw_images(300, (28, 28, 1))
    files = encode_png(images)
    assert isinstance(files, np.ndarray)
    assert files.dtype == np.uint8
    assert files.shape == (300, 8 + 25 + 12 + 2 + 5 + 28 * 29 + 4 + 12)  # chunks, zlib, block, rows, Adler
    raw = zlib.decompress(files[7].tobytes()[41:-16])
    np.testing.assert_array_equal(np.frombuffer(raw, np.uint8).reshape(28, 29)[:, 1:], images[7, :, :, 0])


def test_a_batch_larger_than_the_cache_is_the_same_as_its_parts() -> None:
    images = draw_images(700, (28, 28, 1))
    whole = encode_png(images)
    parts = [encode_png(images[i : i + 1]) for i in range(700)]
    np.testing.assert_array_equal(whole, np.concatenate(parts))
    np.testing.assert_array_equal(decode_png(whole), images)


def test_views_that_are_not_contiguous_are_encoded() -> None:
    images = draw_images(6, (8, 8, 3))[::2, :, ::-1]
    np.testing.assert_array_equal(decode_png(encode_png(images)), images)


@pytest.mark.parametrize("shape", [(200, 180, 3), (256, 255, 1), (257, 255, 1), (400, 200, 3)])
def test_streams_of_several_stored_blocks(shape: tuple[int, int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ops.datasets.png.STORED_SIDE", 400)
    images = draw_images(2, shape)
    files = encode_png(images)
    assert isinstance(files, np.ndarray)
    np.testing.assert_array_equal(open_with_pillow(files[1].tobytes()), images[1])
    decoded = decode_stored(files)
    assert decoded is not None
    np.testing.assert_array_equal(decoded, images)


def test_large_images_are_deflated() -> None:
    images = np.zeros((2, 129, 4, 3), np.uint8)
    files = encode_png(images)
    assert isinstance(files, list)
    assert max(map(len, files)) < 200
    np.testing.assert_array_equal(decode_png(files), images)


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary()])
@pytest.mark.usefixtures("stored_side")
def test_arrow_arrays_and_slices_of_them(kind: pa.DataType) -> None:
    images = draw_images(9, (6, 7, 3))
    files = encode_png(images)
    array = pa.array([bytes(file) for file in files], kind)
    np.testing.assert_array_equal(decode_png(array), images)
    np.testing.assert_array_equal(decode_png(array.slice(3, 4)), images[3:7])


def test_the_answer_is_writable_and_contiguous() -> None:
    decoded = decode_png(encode_png(draw_images(3, (4, 4, 3))))
    decoded[:] = 0
    assert decoded.flags.c_contiguous


def test_empty_input_gives_empty_output() -> None:
    assert decode_png([]).shape == (0, 0, 0, 1)
    assert decode_png(pa.array([], pa.binary())).shape == (0, 0, 0, 1)
    assert len(encode_png(np.empty((0, 28, 28, 1), np.uint8))) == 0


@pytest.mark.parametrize(
    "images",
    [np.zeros((1, 4, 4, 3)), np.zeros((4, 4, 3), np.uint8), np.zeros((1, 4, 4, 2), np.uint8),
     np.zeros((1, 0, 4, 1), np.uint8)],
)  # fmt: skip
def test_other_arrays_are_refused(images: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"allowed: uint8 \[n, H, W, 1 or 3\]"):
        encode_png(images)


@pytest.mark.usefixtures("stored_side")
def test_any_flipped_byte_of_any_row_is_found() -> None:
    """Every byte of a PNG is checked: it lies under a checksum or belongs to one, or is a signature or a length."""
    images = draw_images(3, (5, 4, 1))
    sound = [bytes(file) for file in encode_png(images)]
    for at in range(len(sound[1])):
        broken = bytearray(sound[1])
        broken[at] ^= 0x41
        with pytest.raises(DamagedData, match="^shard.parquet, row 101: "):
            decode_png([sound[0], bytes(broken), sound[2]], where="shard.parquet", first_row=100)


def test_a_wrong_checksum_names_the_row_after_many() -> None:
    files = encode_png(draw_images(1_000, (28, 28, 1)))
    assert isinstance(files, np.ndarray)
    files[777, 100] ^= 1
    with pytest.raises(DamagedData, match="^images, row 777: the checksum of the pixels does not match$"):
        decode_png(files)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", "no PNG"),
        (b"nothing of the kind", "no PNG"),
        (save_with_pillow(np.zeros((4, 4, 3), np.uint8), "JPEG"), "no PNG"),
        (save_with_pillow(np.zeros((4, 4, 3), np.uint8))[:-13], "cut off"),
        (save_with_pillow(np.zeros((4, 4, 3), np.uint8))[:20], "cut off"),
        (None, "the image has no bytes"),
    ],
)
def test_undecodable_bytes_name_the_row_and_the_reason(payload: bytes | None, reason: str) -> None:
    good = bytes(encode_png(np.zeros((1, 4, 4, 3), np.uint8))[0])
    with pytest.raises(DamagedData, match=f"^images, row 1: .*{reason}"):
        decode_png(pa.array([good, payload], pa.binary()))


def test_another_shape_and_another_mode_name_the_row() -> None:
    grey, colour = (bytes(encode_png(np.zeros((1, 4, 4, c), np.uint8))[0]) for c in (1, 3))
    with pytest.raises(DamagedData, match="^images, row 1: the image is 4x4 RGB, while row 0 is 4x4 grey$"):
        decode_png([grey, colour])
    stream = io.BytesIO()
    Image.new("RGBA", (4, 4)).save(stream, "PNG")
    with pytest.raises(DamagedData, match="^images, row 1: the image has mode RGBA; allowed: L and RGB$"):
        decode_png([grey, stream.getvalue()])


@pytest.mark.usefixtures("stored_side")
def test_the_pixel_limit() -> None:
    files = encode_png(np.zeros((2, 10, 10, 1), np.uint8))
    assert decode_png(files, max_pixels=100).shape == (2, 10, 10, 1)
    with pytest.raises(DamagedData, match="row 0: .*10 x 10 pixels, more than the limit of 99"):
        decode_png(files, max_pixels=99)


def test_a_header_with_a_giant_size_allocates_nothing() -> None:
    sound = bytearray(bytes(encode_png(np.zeros((1, 4, 4, 1), np.uint8))[0]))
    sound[16:24] = struct.pack(">II", 60_000, 60_000)
    sound[29:33] = struct.pack(">I", zlib.crc32(sound[12:29]))
    with pytest.raises(DamagedData, match="row 0"):
        decode_png([bytes(sound)])


def test_open_image_keeps_the_mode_and_refuses_the_rest() -> None:
    assert open_image(save_with_pillow(np.zeros((4, 6, 3), np.uint8), "JPEG")).size == (6, 4)
    with pytest.raises(ValueError, match="no known image format"):
        open_image(b"GIF89")
