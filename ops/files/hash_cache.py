"""A cache of file hashes, valid while the files do not change.

Reading every byte on every call would make an unchanged run slow. The cache stores a file's hash with its size, inode
and times. Writing to a file sets its change time (ctime), and no program can set that back as it can the modification
time. A file that changed less than two seconds before it was hashed is not cached, because file systems count time in
steps. Corruption by the disk itself, without a write, is found by reading everything again: `growset verify`.
"""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path
from typing import Any

from ops.errors import DamagedData
from ops.files.hashing import hash_file
from ops.files.storage import read_json, write_json

UNWRITABLE = (errno.EACCES, errno.EPERM, errno.EROFS)  # a workspace that is only read goes without a cache
SETTLE_NANOSECONDS = 2_000_000_000  # after a file's last change; from then on its times show every later change


class HashCache:
    """Hashes of one folder's files, kept in a JSON file between processes. Losing the cache costs only time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._entries = self._read()
        self._known = dict(self._entries)

    def hash_file(self, folder: Path, name: str) -> str:
        """sha256 hex of the file's bytes, from the cache if size, inode and times are unchanged."""
        before = describe_file(folder / name)
        entry = self._entries.get(name)
        if entry is not None and entry[:-1] == before:
            return str(entry[-1])
        now = time.time_ns()
        found = hash_file(folder / name)
        *_, modified, changed = before
        if describe_file(folder / name) == before and now - max(modified, changed) > SETTLE_NANOSECONDS:
            self._entries[name] = [*before, found]
        else:
            self._entries.pop(name, None)
        return found

    def save(self) -> None:
        """Write the cache if it has changed and its folder can be written to."""
        if self._entries != self._known:
            try:
                write_json(self.path, self._entries)
            except OSError as error:
                if error.errno not in UNWRITABLE:
                    raise

    def _read(self) -> dict[str, list[Any]]:
        try:
            entries = read_json(self.path)
        except (FileNotFoundError, DamagedData):  # no cache yet, or a damaged one
            return {}
        return entries if isinstance(entries, dict) else {}


def describe_file(path: Path) -> list[int]:
    """Size, inode, device, modification and change time (ns): any write to a file changes them."""
    found = os.stat(path)
    return [found.st_size, found.st_ino, found.st_dev, found.st_mtime_ns, found.st_ctime_ns]
