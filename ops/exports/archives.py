"""Archives whose bytes follow from their contents alone: no times, no owners, members in the given order.

This module knows nothing of images.
"""

from __future__ import annotations

import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import IO

_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a ZIP can store
_MODE = 0o644
_BLOCK = 512


class TarWriter:
    """A tar file, written member by member. `count` and `size` (bytes, without the closing blocks) are those so far."""

    def __init__(self, path: Path) -> None:
        self._tar = tarfile.open(path, "x", format=tarfile.USTAR_FORMAT)  # noqa: SIM115 (close() closes it)
        self.count = self.size = 0

    def add(self, name: str, content: bytes) -> None:
        member = tarfile.TarInfo(name)
        member.size, member.mode = len(content), _MODE
        self._tar.addfile(member, BytesIO(content))
        self.count += 1
        self.size += member_size(content)

    def close(self) -> None:
        self._tar.close()


def member_size(content: bytes) -> int:
    """Bytes of a member in a tar: its header, and its content in whole blocks."""
    return _BLOCK + -(-len(content) // _BLOCK) * _BLOCK


@contextmanager
def create_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """A new ZIP that stores its members uncompressed."""
    with zipfile.ZipFile(path, "x", zipfile.ZIP_STORED, allowZip64=True) as archive:
        yield archive


def zip_member(name: str) -> zipfile.ZipInfo:
    """The header of a member."""
    member = zipfile.ZipInfo(name, _EPOCH)
    member.create_system = 3  # Unix, wherever this runs
    member.external_attr = _MODE << 16
    return member


@contextmanager
def stream_member(archive: zipfile.ZipFile, name: str) -> Iterator[IO[bytes]]:
    """Write a member piece by piece; it may exceed 4 GiB."""
    with archive.open(zip_member(name), "w", force_zip64=True) as stream:
        yield stream
