"""Unfinished objects of a killed DVC, in its cache and in a folder remote: files `.<22 characters>.tmp`.

DVC writes each object under such a name first and then renames it. It never reuses one: the next push starts again.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

MIN_AGE = 24 * 3600.0  # seconds; an object that somebody still writes is younger
_TORN = re.compile(r"\.[A-Za-z0-9_-]{22}\.tmp")
_SHARD = re.compile(r"[0-9a-f]{2}")


def remove_torn(folders: Iterable[Path]) -> list[Path]:
    """Delete unfinished objects older than MIN_AGE in object folders (`files/md5` of a cache or remote).

    Returns the deleted files.
    """
    limit = time.time() - MIN_AGE
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
