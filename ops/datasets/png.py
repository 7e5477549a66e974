"""Images to PNG bytes and back, at memory speed for small images.

Small images become *stored* PNG, with zlib level 0 and filter 0. All files of one image shape then have the same
length and layout, so a whole batch is written and read as a numpy array, and only the checksums cost work per image.
Any PNG reader opens them. Large images are deflated, because their size matters more.

It knows neither labels nor columns nor files; `where` is only the name that an error carries.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np
import pyarrow as pa
from PIL import Image
from zlib_ng import zlib_ng  # ten times as fast for the same checksums, which are most of the work here

from ops.datasets.imagefile import MAX_PIXELS, SIGNATURE, open_image
from ops.errors import DamagedData

Payloads: TypeAlias = Sequence[bytes] | np.ndarray | pa.BinaryArray | pa.LargeBinaryArray

STORED_SIDE = 128

_TYPE_AT = 37  # offset of "IDAT"; its checksum covers the bytes from here to the checksum itself
_BLOCK_BYTES = 65_535  # the largest stored deflate block
_CACHE_BYTES = 2**18
_COLOUR_TYPES = {1: 0, 3: 2}
_CHANNELS = {"L": 1, "RGB": 3}


@dataclass(frozen=True)
class _Layout:
    """The offsets in the stored PNG of one image shape; the same for every image of that shape."""

    height: int
    width: int
    channels: int
    template: bytes  # the whole file of a black image, with zeros for its two checksums
    blocks: tuple[tuple[int, int, int], ...]  # (offset in the file, offset in the scanlines, size)

    @property
    def stride(self) -> int:
        return 1 + self.width * self.channels  # one filter byte in front of each row

    @property
    def adler_at(self) -> int:
        return len(self.template) - 20

    @property
    def crc_at(self) -> int:
        return len(self.template) - 16


def encode_png(images: np.ndarray) -> list[bytes] | np.ndarray:
    """Encode uint8 images [n, H, W, C], C in {1, 3}, as PNG, bit for bit.

    If H and W are at most STORED_SIDE, the result is a uint8 array [n, length] of stored PNG, else a list of n
    deflated files. Either way `bytes(result[i])` is image i. ValueError for another dtype or shape.
    """
    allowed = images.dtype == np.uint8 and images.ndim == 4 and images.shape[3] in _COLOUR_TYPES
    if not allowed or 0 in images.shape[1:]:
        raise ValueError(f"images are {images.dtype} {list(images.shape)}; allowed: uint8 [n, H, W, 1 or 3]")
    count, height, width, channels = images.shape
    if max(height, width) > STORED_SIDE:
        return [_deflate(image) for image in images]
    layout = _plan_layout(height, width, channels)
    files = np.empty((count, len(layout.template)), np.uint8)
    rows = images.reshape(count, height, width * channels)
    for part in _split(count, files.shape[1]):
        _fill(files[part], rows[part], layout)
    return files


def decode_png(
    payloads: Payloads,
    *,
    max_pixels: int = MAX_PIXELS,
    where: str = "images",
    first_row: int = 0,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """Decode n PNG files of one shape, grey or RGB of 8 bits, to a uint8 array [n, H, W, C], C in {1, 3}.

    The result is `out` if that has the right shape and the files are stored PNG, else a new array.

    DamagedData, naming `where` and the row (counted from `first_row`), for bytes that are not a sound PNG, an image
    of more than `max_pixels` (Pillow's own limit of 179 million applies as well), another mode, or another shape
    than the first image's. An empty list gives shape [0, 0, 0, 1].
    """
    if len(payloads) == 0:
        return np.empty((0, 0, 0, 1), np.uint8)
    stored = decode_stored(payloads, max_pixels=max_pixels, where=where, first_row=first_row, out=out)
    if stored is not None:
        return stored
    images: list[np.ndarray] = []
    for row, payload in enumerate(_list_payloads(payloads), first_row):
        if payload is None:
            raise DamagedData(f"{where}, row {row}: the image has no bytes")
        try:
            image = open_image(payload, max_pixels=max_pixels, formats=("PNG",))
        except ValueError as error:
            raise DamagedData(f"{where}, row {row}: {error}") from error
        if image.mode not in _CHANNELS:
            raise DamagedData(f"{where}, row {row}: the image has mode {image.mode}; allowed: L and RGB")
        pixels = np.asarray(image, np.uint8).reshape(image.height, image.width, _CHANNELS[image.mode])
        if images and pixels.shape != images[0].shape:
            here, there = (name_shape(shape) for shape in (pixels.shape, images[0].shape))
            raise DamagedData(f"{where}, row {row}: the image is {here}, while row {first_row} is {there}")
        images.append(pixels)
    return np.stack(images)


def decode_stored(
    payloads: Payloads,
    *,
    max_pixels: int = MAX_PIXELS,
    where: str = "images",
    first_row: int = 0,
    out: np.ndarray | None = None,
) -> np.ndarray | None:
    """`decode_png` for stored PNG of one shape, which it tries first; None if any payload is something else."""
    files = _as_matrix(payloads)
    if files is None or len(files) == 0:
        return None
    layout = _recognise(files[0].tobytes(), max_pixels)
    if layout is None:
        return None
    shape = (len(files), layout.height, layout.width, layout.channels)
    images = out if out is not None and out.shape == shape else np.empty(shape, np.uint8)
    rows = images.reshape(*shape[:2], layout.stride - 1)
    for part in _split(*files.shape):
        scanlines = _view_scanlines(files[part], layout)
        if scanlines is None:
            return None
        rows[part] = scanlines[:, :, 1:]
        wrong = (files[part, layout.crc_at : layout.crc_at + 4] != _checksum(files[part], layout)).any(axis=1)
        if wrong.any():
            row = first_row + part.start + int(wrong.argmax())
            raise DamagedData(f"{where}, row {row}: the checksum of the pixels does not match")
    return images


def name_shape(shape: Sequence[int]) -> str:
    """A shape (H, W, C) as errors name it: `28x28 grey`, `32x32 RGB`."""
    return f"{shape[0]}x{shape[1]} {'grey' if shape[2] == 1 else 'RGB'}"


@lru_cache(maxsize=4)
def _plan_layout(height: int, width: int, channels: int) -> _Layout:
    header = struct.pack(">IIBBBBB", width, height, 8, _COLOUR_TYPES[channels], 0, 0, 0)
    total = height * (1 + width * channels)
    body = bytearray(b"\x78\x01")
    blocks = []
    for source in range(0, total, _BLOCK_BYTES):
        size = min(_BLOCK_BYTES, total - source)
        body += struct.pack("<BHH", source + size == total, size, size ^ 0xFFFF)
        blocks.append((_TYPE_AT + 4 + len(body), source, size))
        body += bytes(size)
    body += bytes(4)
    template = SIGNATURE + _frame_chunk(b"IHDR", header)
    template += struct.pack(">I", len(body)) + b"IDAT" + bytes(body) + bytes(4) + _frame_chunk(b"IEND", b"")
    return _Layout(height, width, channels, template, tuple(blocks))


def _split(count: int, size: int) -> list[slice]:
    """Slices of `count` files of `size` bytes, each small enough for the processor's cache."""
    step = max(1, _CACHE_BYTES // size)
    return [slice(begin, min(begin + step, count)) for begin in range(0, count, step)]


def _fill(files: np.ndarray, rows: np.ndarray, layout: _Layout) -> None:
    """Write the PNG of each image's pixel rows [n, H, W * C] into uint8 [n, length]."""
    count, frame = len(files), np.frombuffer(layout.template, np.uint8)
    if len(layout.blocks) == 1:  # the usual case: scanlines are written in place, and no byte twice
        ((at, _, size),) = layout.blocks
        files[:, :at], files[:, at + size :] = frame[:at], frame[at + size :]
        scanlines = files[:, at : at + size].reshape(count, layout.height, layout.stride)
        scanlines[:, :, 0] = 0
        scanlines[:, :, 1:] = rows
        flat, begin, step = files.data.cast("B"), at, files.shape[1]
    else:
        scanlines = np.zeros((count, layout.height, layout.stride), np.uint8)
        scanlines[:, :, 1:] = rows
        lines = scanlines.reshape(count, -1)
        files[:] = frame
        for at, source, size in layout.blocks:
            files[:, at : at + size] = lines[:, source : source + size]
        flat, begin, step, size = lines.data.cast("B"), 0, lines.shape[1], lines.shape[1]
    adlers = [zlib_ng.adler32(flat[i : i + size]) for i in range(begin, begin + count * step, step)]
    files[:, layout.adler_at : layout.adler_at + 4] = np.array(adlers, ">u4").view(np.uint8).reshape(count, 4)
    files[:, layout.crc_at : layout.crc_at + 4] = _checksum(files, layout)


def _view_scanlines(files: np.ndarray, layout: _Layout) -> np.ndarray | None:
    """Scanlines [n, H, stride], or None if a file differs from the layout in a byte that the layout fixes."""
    frame = np.frombuffer(layout.template, np.uint8)
    end = 0
    for at, _, size in layout.blocks:
        if (files[:, end:at] != frame[end:at]).any():
            return None
        end = at + size
    parts = [files[:, at : at + size] for at, _, size in layout.blocks]
    lines = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)  # one block, the usual case: no copy
    scanlines = lines.reshape(len(files), layout.height, layout.stride)
    if (files[:, -12:] != frame[-12:]).any() or scanlines[:, :, 0].any():
        return None
    return scanlines


def _recognise(file: bytes, max_pixels: int) -> _Layout | None:
    """The layout for the shape in this file's header; None if the file's length does not fit it."""
    if len(file) < 57 or not file.startswith(SIGNATURE):
        return None
    width, height, depth, colour = struct.unpack(">IIBB", file[16:26])
    channels = {0: 1, 2: 3}.get(colour)
    if channels is None or depth != 8 or not 0 < width * height <= max_pixels:
        return None
    if not height * (1 + width * channels) < len(file) < 2 * height * (1 + width * channels) + 100:
        return None  # checked before a template of the announced size is built: a header can announce any size
    layout = _plan_layout(height, width, channels)
    return layout if len(layout.template) == len(file) else None


def _list_payloads(payloads: Payloads) -> list[bytes | None]:
    if isinstance(payloads, np.ndarray):
        return [row.tobytes() for row in payloads]
    return payloads.to_pylist() if isinstance(payloads, pa.Array) else list(payloads)


def _as_matrix(payloads: Payloads) -> np.ndarray | None:
    """Payloads of equal length as uint8 [n, length], without a copy if they already lie in one buffer; else None."""
    if isinstance(payloads, np.ndarray):
        ours = payloads.dtype == np.uint8 and payloads.ndim == 2 and payloads.flags.c_contiguous
        return payloads if ours else None
    if isinstance(payloads, (pa.BinaryArray, pa.LargeBinaryArray)):
        if payloads.null_count or len(payloads) == 0:
            return None
        _, offset_buffer, data = payloads.buffers()
        kind = np.int64 if isinstance(payloads, pa.LargeBinaryArray) else np.int32
        offsets = np.frombuffer(offset_buffer, kind)[payloads.offset : payloads.offset + len(payloads) + 1]
        lengths = np.diff(offsets)
        if data is None or lengths[0] == 0 or (lengths != lengths[0]).any():
            return None
        files: np.ndarray = np.frombuffer(data, np.uint8)[offsets[0] : offsets[-1]]
        return files.reshape(len(payloads), int(lengths[0]))
    if any(value is None for value in payloads) or len({len(value) for value in payloads}) != 1:
        return None
    return np.frombuffer(b"".join(payloads), np.uint8).reshape(len(payloads), -1)


def _checksum(files: np.ndarray, layout: _Layout) -> np.ndarray:
    """CRC-32 of each file's IDAT chunk as uint8 [n, 4], most significant byte first."""
    flat, step = files.data.cast("B"), files.shape[1]
    begin, size = _TYPE_AT, layout.crc_at - _TYPE_AT
    sums = [zlib_ng.crc32(flat[i : i + size]) for i in range(begin, begin + len(files) * step, step)]
    return np.array(sums, ">u4").view(np.uint8).reshape(len(files), 4)


def _frame_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _deflate(image: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image).save(stream, "PNG", compress_level=1)
    return stream.getvalue()
