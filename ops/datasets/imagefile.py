"""Decode one image file of any format with Pillow, under limits, and give the reason if that fails.

It knows neither the origin of the bytes nor the use of the image.
"""

from __future__ import annotations

import io
import struct
import zlib

from PIL import Image, UnidentifiedImageError

MAX_PIXELS = 64_000_000
SIGNATURE = b"\x89PNG\r\n\x1a\n"
_BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)


def open_image(payload: bytes, *, max_pixels: int = MAX_PIXELS, formats: tuple[str, ...] | None = None) -> Image.Image:
    """Decode one image file, pixels loaded, in the file's own mode. Raises ValueError with the reason."""
    try:
        if payload.startswith(SIGNATURE):
            _verify_chunks(payload)  # Pillow does not check the checksum of the pixels
        image = Image.open(io.BytesIO(payload), formats=formats)
        if image.width * image.height > max_pixels:
            raise ValueError(f"{image.width} x {image.height} pixels, more than the limit of {max_pixels}")
        image.load()
    except UnidentifiedImageError as error:
        kinds = " or ".join(formats or ["known image format"])
        raise ValueError(f"not a readable image (no {kinds})") from error
    except _BROKEN as error:
        raise ValueError(f"not a readable image ({error})") from error
    return image


def _verify_chunks(payload: bytes) -> None:
    view, at, kind = memoryview(payload), len(SIGNATURE), b""
    while kind != b"IEND":
        length, kind = struct.unpack_from(">I4s", payload, at) if at + 8 <= len(payload) else (0, b"")
        if at + 12 + length > len(payload):
            raise ValueError("the file is cut off")
        (expected,) = struct.unpack_from(">I", payload, at + 8 + length)
        if zlib.crc32(view[at + 4 : at + 8 + length]) != expected:
            raise ValueError(f"the checksum of chunk {kind.decode('latin-1')} does not match")
        at += 12 + length
