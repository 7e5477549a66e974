"""Archives that somebody else made, read where they lie: nothing is ever unpacked to the disk.

A member whose name leads out of the archive, a link, a device or an encrypted member is refused, and so is one
that would unpack to more than an image file ever holds. It does not know what the members mean.
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

LARGEST = 256 * 2**20  # bytes of one image file
_BROKEN_TAR = (tarfile.TarError, ArithmeticError, EOFError, LookupError, ValueError, struct.error)
# What Python's unpackers have to say. OSError is bz2's word, and that of a place before the beginning.
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
    """A file in a tar archive: its name, and where its bytes lie."""

    name: str
    offset: int
    size: int


def check_name(name: str, archive: Path) -> None:
    """UserError if a member's name is absolute, contains `..` between slashes of any kind, or is not text."""
    if "\0" in name or any("\ud800" <= sign <= "\udfff" for sign in name):
        raise UserError(f"{archive}: the member {name!a} has a name that is not UTF-8; allowed: names that are")
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if not parts or parts[0].startswith("/") or ".." in parts or ":" in parts[0]:
        raise UserError(f"{archive}: the member {name!r} leads out of the archive; allowed: names below its top")


def list_tar(path: Path) -> list[Member]:
    """The files in an uncompressed tar archive, in its order."""
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
    """Open a zip archive whose members are all harmless; the caller closes it."""
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
    """One member of a zip archive, of at most LARGEST bytes; DamagedData if it is not there or not sound."""
    try:
        entry = archive.getinfo(name)
    except KeyError:
        raise DamagedData(f"{where}: there is no such member") from None
    _check_size(name, entry.file_size, Path(str(archive.filename)))
    try:
        return archive.read(entry)
    except BROKEN_ZIP as error:
        raise DamagedData(f"{where}: cannot be unpacked ({error})") from error


def _check_size(name: str, size: int, archive: Path) -> None:
    if size < 0:
        raise DamagedData(f"{archive}: the member {name!r} has {size} bytes")
    if size > LARGEST:
        raise UserError(f"{archive}: the member {name!r} unpacks to {size:,} bytes; allowed: {LARGEST:,}")


def _check_end(path: Path, members: Sequence[Member]) -> None:
    """tarfile takes an archive that was cut off in its last member for a whole one."""
    if members and members[-1].offset + members[-1].size > path.stat().st_size:
        raise DamagedData(f"{path}: the archive is cut off in its member {members[-1].name!r}")
