"""What DVC leaves in its cache and in a remote that is a folder when it is killed: files `.<22 signs>.tmp`.

It writes each object under such a name first and renames it. Nobody comes back to one: the next push begins anew.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

OLD = 24 * 3600.0  # seconds; one that is being written is never that old, whoever shares the remote
_TORN = re.compile(r"\.[A-Za-z0-9_-]{22}\.tmp")
_SHARD = re.compile(r"[0-9a-f]{2}")


def remove_torn(folders: Iterable[Path]) -> list[Path]:
    """Delete torn objects that are older than OLD in object folders (`files/md5` of a cache or remote); which ones."""
    limit = time.time() - OLD
    removed = []
    for path in (path for folder in folders for path in _find_torn(folder)):
        if path.lstat().st_mtime < limit:
            path.unlink(missing_ok=True)
            removed.append(path)
    return removed


def _find_torn(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        if _TORN.fullmatch(path.name) and path.is_file() and not path.is_symlink():
            yield path
        elif _SHARD.fullmatch(path.name) and path.is_dir():
            yield from (p for p in path.iterdir() if _TORN.fullmatch(p.name) and p.is_file() and not p.is_symlink())
