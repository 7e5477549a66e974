"""Whether a DVC remote holds each object as it was sent: existence, size and, if needed, the bytes.

Bytes are read if the storage is a folder, if an object was rewritten since the last check, or if the caller asks for
it. The module knows fsspec's answers but neither outputs nor expansions.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ops.remotes.objects import StoredObject, hash_stream, map_threads

if TYPE_CHECKING:
    from dvc_data.hashfile.db import HashFileDB

MISSING = "is missing"
OTHER_CONTENT = "has other content"
THREADS = 8  # parallel transfers; each of them waits most of the time
_WRITE_MARKS = ("ETag", "etag", "LastModified", "last_modified", "mtime", "created", "ino")  # change with every write


@dataclass(frozen=True)
class Survey:
    """`faults`: the fault of each faulty object. `marks`: the storage's data on each intact object's last write."""

    faults: dict[StoredObject, str]
    marks: dict[str, str]


def survey(
    odb: HashFileDB,
    objects: Sequence[StoredObject],
    *,
    sizes: Mapping[str, int],
    marks: Mapping[str, str],
    every_byte: bool = False,
    advance: Callable[[int], None] = lambda done: None,
) -> Survey:
    """Check each object in the storage.

    sizes: known bytes by oid. marks: those of an earlier survey; an object with an equal mark is not read unless
    `every_byte` is set. `advance` is called with the number done. Raises the exceptions of the storage's driver.
    """
    odb.fs.fs.invalidate_cache()
    wanted = list({each.oid: each for each in reversed(objects)}.values())  # several files may share an object
    answers: list[Any] = odb.fs.info([odb.oid_to_path(each.oid) for each in wanted], return_exceptions=True)
    faults: dict[StoredObject, str] = {}
    unread: list[StoredObject] = []
    found: dict[str, str] = {}
    for each, answer in zip(wanted, answers, strict=True):
        if isinstance(answer, FileNotFoundError):
            faults[each] = MISSING
            continue
        if isinstance(answer, BaseException):
            raise answer
        size, mark = answer.get("size"), _mark(answer)
        if None not in (size, sizes.get(each.oid)) and size != sizes[each.oid]:
            faults[each] = f"has {size:,} bytes and should have {sizes[each.oid]:,}"
            continue
        found[each.oid] = mark
        if every_byte or not _is_trusted(odb, each, answer, marks.get(each.oid), mark):
            unread.append(each)
    for done, (each, md5) in enumerate(zip(unread, map_threads(_reader(odb), unread, THREADS), strict=True), 1):
        if md5 != each.md5:
            faults[each] = OTHER_CONTENT
            del found[each.oid]
        advance(len(wanted) - len(unread) + done)
    return Survey(faults, found)


def _is_trusted(odb: HashFileDB, each: StoredObject, answer: Mapping[str, Any], before: str | None, mark: str) -> bool:
    """Whether the storage's own data shows that the object's bytes are intact, so that they need not be read."""
    if before is not None:
        return before == mark
    tag = str(answer.get("ETag", "")).strip('"')
    if re.fullmatch("[0-9a-f]{32}", tag):  # the md5 of an upload in one part, unless the storage encrypts
        return tag == each.md5
    return bool(odb.fs.protocol != "local")


def _mark(answer: Mapping[str, Any]) -> str:
    return json.dumps([str(answer[name]) for name in _WRITE_MARKS if name in answer])


def _reader(odb: HashFileDB) -> Callable[[StoredObject], str | None]:
    def read(each: StoredObject) -> str | None:
        with odb.fs.open(odb.oid_to_path(each.oid), "rb") as stream:
            return hash_stream(stream)

    return read
