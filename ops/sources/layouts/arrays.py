"""Image arrays in files that start with their own shape: the `.npy` members of an npz, and IDX.

They are read in chunks, so that a million images are never in memory twice. A header with a shape larger than the
file's content is detected before memory of that size is allocated. The module does not know what an array means.
"""

from __future__ import annotations

import gzip
import math
import struct
import tokenize
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import numpy as np

from ops.datasets.axes import to_nhwc
from ops.errors import DamagedData, UserError
from ops.sources.archives import BROKEN_ZIP, open_zip
from ops.sources.listing import PIECE_IMAGES

# Limits in bytes.
MAX_HEADER = 4_096  # the header of an .npy
MAX_ARRAY = 2**36
MAX_IMAGE = 2**28
MAX_LABELS = 2**30  # all labels, or names
CHUNK = 2**26  # images that are read at once, or one image if that is larger
_BROKEN = (
    *BROKEN_ZIP,
    SyntaxError,
    TypeError,
    tokenize.TokenError,  # from the text in the header of an .npy
)


@dataclass(frozen=True)
class ArrayFile:
    """An array in a file: `member` is its name inside an npz, and empty for IDX."""

    path: Path
    member: str = ""

    def __str__(self) -> str:
        return f"{self.path}, {self.member.removesuffix('.npy')}" if self.member else str(self.path)


def list_arrays(path: Path) -> list[str]:
    """The names of the arrays in an npz."""
    with open_zip(path) as archive:
        return [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]


def read_array(file: ArrayFile) -> np.ndarray:
    """A whole array of labels or names. UserError for an array of Python objects, DamagedData for a broken one."""
    with _open(file) as stream:
        shape, dtype = _read_header(stream, file)
        if math.prod(shape) * dtype.itemsize > MAX_LABELS:
            raise UserError(
                f"{file}: its shape {list(shape)} of {dtype} is too large for labels; allowed: {MAX_LABELS:,} bytes"
            )
        return _read_rows(stream, shape, dtype, file)


def read_shape(file: ArrayFile) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type, from the header alone."""
    with _open(file) as stream:
        return _read_header(stream, file)


def iterate_images(file: ArrayFile) -> Iterator[np.ndarray]:
    """Chunks uint8 [n, H, W, C] of an array [n, H, W], [n, H, W, 1 or 3] or, channels first, [n, 1 or 3, H, W]."""
    with _open(file) as stream:
        shape, dtype = _read_header(stream, file)
        check_images(file, shape, dtype)
        rows = max(1, min(PIECE_IMAGES, CHUNK // math.prod(shape[1:])))
        for begin in range(0, shape[0], rows):
            chunk = _read_rows(stream, (min(rows, shape[0] - begin), *shape[1:]), dtype, file)
            if chunk.ndim == 3:
                chunk = chunk[..., np.newaxis]
            yield chunk if chunk.shape[3] in (1, 3) else to_nhwc(chunk)
        if stream.read(1):
            raise DamagedData(f"{file}: the file holds more bytes than its shape {list(shape)} needs")


def check_images(file: ArrayFile, shape: tuple[int, ...], dtype: np.dtype) -> None:
    """UserError for an array that does not hold images."""
    layered = len(shape) == 4 and (shape[3] in (1, 3) or shape[1] in (1, 3))
    if dtype != np.uint8 or not (len(shape) == 3 or layered) or 0 in shape[1:]:
        flat = " (rows of features are no images; give them height and width)" if len(shape) == 2 else ""
        raise UserError(
            f"{file}: the images are {dtype} {list(shape)}{flat}; allowed: uint8 [n, H, W] or [n, H, W, 1 or 3]"
        )
    if math.prod(shape[1:]) > MAX_IMAGE:
        raise UserError(f"{file}: one image has {math.prod(shape[1:]):,} bytes; allowed: {MAX_IMAGE:,}")


@contextmanager
def _open(file: ArrayFile) -> Iterator[IO[bytes]]:
    try:
        if file.member:
            with open_zip(file.path) as archive, archive.open(file.member) as member:
                yield member
        elif file.path.suffix == ".gz":
            with gzip.open(file.path) as unpacked:
                yield cast(IO[bytes], unpacked)
        else:
            with file.path.open("rb") as stream:
                yield stream
    except _BROKEN as error:
        raise DamagedData(f"{file}: cannot be read ({error})") from error


def _read_header(stream: IO[bytes], file: ArrayFile) -> tuple[tuple[int, ...], np.dtype]:
    return _read_npy_header(stream, file) if file.member else _read_idx_header(stream, file)


def _read_npy_header(stream: IO[bytes], file: ArrayFile) -> tuple[tuple[int, ...], np.dtype]:
    version = np.lib.format.read_magic(stream)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(stream, max_header_size=MAX_HEADER)
    if dtype.hasobject:
        raise UserError(
            f"{file}: the array holds pickled Python objects, which can run code; allowed: numbers and texts"
        )
    if fortran and len(shape) > 1:
        raise UserError(f"{file}: the array is in Fortran order; allowed: C order, numpy's default")
    _check_extent(file, shape, dtype)
    return shape, dtype


def _read_idx_header(stream: IO[bytes], file: ArrayFile) -> tuple[tuple[int, ...], np.dtype]:
    zeros, kind, dimensions = struct.unpack(">HBB", stream.read(4))
    if zeros or kind != 8 or not 0 < dimensions <= 4:
        raise DamagedData(f"{file}: not an IDX file of unsigned bytes")
    shape = struct.unpack(f">{dimensions}I", stream.read(4 * dimensions))
    _check_extent(file, shape, np.dtype(np.uint8))
    return shape, np.dtype(np.uint8)


def _check_extent(file: ArrayFile, shape: tuple[int, ...], dtype: np.dtype) -> None:
    if min(shape, default=0) < 0:
        raise DamagedData(f"{file}: its shape is {list(shape)}")
    extent = math.prod(shape) * dtype.itemsize
    if extent > MAX_ARRAY:
        raise UserError(f"{file}: its shape {list(shape)} needs {extent:,} bytes; allowed: {MAX_ARRAY:,}")


def _read_rows(stream: IO[bytes], shape: tuple[int, ...], dtype: np.dtype, file: ArrayFile) -> np.ndarray:
    """Exactly the rows of `shape`; memory grows with the bytes read, not with the size in the header."""
    extent, content = math.prod(shape) * dtype.itemsize, bytearray()
    while len(content) < extent:
        part = stream.read(min(2**24, extent - len(content)))
        if not part:
            raise DamagedData(f"{file}: the file is cut off")
        content += part
    rows: np.ndarray = np.frombuffer(content, dtype).reshape(shape)
    return rows
