"""Read archives from untrusted sources in place, without unpacking them to the disk.

A member is refused if its name leads out of the archive, if it is a link, a device or encrypted, or if it would
unpack to more than any image file holds. The module does not know what the members mean.
"""

from __future__ import annotations

import lzma
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ops.errors import DamagedData, UserError

MAX_MEMBER_BYTES = 256 * 2**20  # more than any image file
_BROKEN_TAR = (tarfile.TarError, ArithmeticError, EOFError, LookupError, ValueError, struct.error)
# The errors that Python's decompressors raise. OSError comes from bz2 and from a negative offset.
BROKEN_ZIP = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    ArithmeticError,
    EOFError,
    LookupError,
    NotImplementedError,
    OSError,
    RuntimeError,
    ValueError,
)


@dataclass(frozen=True)
class Member:
    """A file in a tar archive: its name, and the offset and number of its bytes."""

    name: str
    offset: int
    size: int


def check_name(name: str, archive: Path) -> None:
    """UserError if a member's name is absolute, has `..` as a part (slash or backslash), or is not UTF-8 text."""
    if "\0" in name or any("\ud800" <= sign <= "\udfff" for sign in name):
        raise UserError(f"{archive}: the member {name!a} has a name that is not UTF-8; allowed: UTF-8 names")
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if not parts or parts[0].startswith("/") or ".." in parts or ":" in parts[0]:
        raise UserError(f"{archive}: the member {name!r} leads out of the archive; allowed: names below its top")


def list_tar(path: Path) -> list[Member]:
    """The files in an uncompressed tar archive, in its order. UserError and DamagedData for unsafe and broken ones."""
    members = []
    try:
        with tarfile.open(path, "r:") as archive:
            for entry in archive:
                _check_size(entry.name, entry.size, path)
                if entry.isdir():
                    continue
                check_name(entry.name, path)
                if not entry.isreg():
                    raise UserError(f"{path}: the member {entry.name!r} is a link or a device; allowed: files")
                members.append(Member(entry.name, entry.offset_data, entry.size))
        _check_end(path, members)
    except _BROKEN_TAR as error:
        with path.open("rb") as stream:
            if stream.read(2) == b"\x1f\x8b":
                raise UserError(f"{path} is compressed; unpack it to a plain .tar first") from error
        raise DamagedData(f"{path}: not a sound tar archive ({error})") from error
    return members


def read_members(path: Path, members: Sequence[Member]) -> list[bytes]:
    """The bytes of some members of a tar archive."""
    with path.open("rb") as stream:
        contents = []
        for member in members:
            stream.seek(member.offset)
            contents.append(stream.read(member.size))
    return contents


def open_zip(path: Path) -> zipfile.ZipFile:
    """Open a zip archive after checking that every member is harmless; the caller closes it."""
    try:
        archive = zipfile.ZipFile(path)
    except BROKEN_ZIP as error:
        raise DamagedData(f"{path}: not a sound zip archive ({error})") from error
    try:
        for entry in archive.infolist():
            check_name(entry.filename, path)
            if stat.S_ISLNK(entry.external_attr >> 16):
                raise UserError(f"{path}: the member {entry.filename!r} is a link; allowed: files")
            if entry.flag_bits & 1:
                raise UserError(f"{path}: the member {entry.filename!r} is encrypted; allowed: plain files")
    except BaseException:
        archive.close()
        raise
    return archive


def read_member(archive: zipfile.ZipFile, name: str, where: str) -> bytes:
    """One member of a zip archive, of at most MAX_MEMBER_BYTES; DamagedData if it is missing or not sound."""
    try:
        entry = archive.getinfo(name)
    except KeyError:
        raise DamagedData(f"{where}: the archive does not hold it") from None
    _check_size(name, entry.file_size, Path(str(archive.filename)))
    try:
        return archive.read(entry)
    except BROKEN_ZIP as error:
        raise DamagedData(f"{where}: cannot be unpacked ({error})") from error


def _check_size(name: str, size: int, archive: Path) -> None:
    if size < 0:
        raise DamagedData(f"{archive}: the member {name!r} has {size} bytes")
    if size > MAX_MEMBER_BYTES:
        raise UserError(f"{archive}: the member {name!r} unpacks to {size:,} bytes; allowed: {MAX_MEMBER_BYTES:,}")


def _check_end(path: Path, members: Sequence[Member]) -> None:
    """DamagedData for an archive that is cut off in its last member, which tarfile does not notice."""
    if members and members[-1].offset + members[-1].size > path.stat().st_size:
        raise DamagedData(f"{path}: the archive is cut off in its member {members[-1].name!r}")
