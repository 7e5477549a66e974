"""Whether a DVC remote holds each object as it was sent: existence, size, and the bytes where they are worth reading.

Bytes are read where the storage is a folder, where an object was written anew since it was last found right, and where
the caller asks for them. It knows fsspec's answers and neither outputs nor expansions.
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

MISSING = "is not there"
OTHER_CONTENT = "has other content"
THREADS = 8  # transfers side by side; most of the time each of them waits
_TIMES = ("ETag", "etag", "LastModified", "last_modified", "mtime", "created", "ino")  # change when a file is written


@dataclass(frozen=True)
class Survey:
    """`faults`: what is wrong, by object. `marks`: of each right one, what the storage says of its last writing."""

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
    """Ask the storage for each object.

    sizes: bytes by oid, as far as known. marks: of an earlier survey; an object whose mark is the same is not read
    unless `every_byte` is asked for. `advance` hears how many are done. Raises what the storage's driver raises.
    """
    odb.fs.fs.invalidate_cache()
    wanted = list({each.oid: each for each in reversed(objects)}.values())  # several files may have one content
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
            faults[each] = f"is {size:,} bytes long and should be {sizes[each.oid]:,}"
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
    """Whether the storage's word is enough that these bytes are right."""
    if before is not None:
        return before == mark
    tag = str(answer.get("ETag", "")).strip('"')
    if re.fullmatch("[0-9a-f]{32}", tag):  # the md5 of an upload in one part, unless the storage encrypts
        return tag == each.md5
    return bool(odb.fs.protocol != "local")


def _mark(answer: Mapping[str, Any]) -> str:
    return json.dumps([str(answer[name]) for name in _TIMES if name in answer])


def _reader(odb: HashFileDB) -> Callable[[StoredObject], str | None]:
    def read(each: StoredObject) -> str | None:
        with odb.fs.open(odb.oid_to_path(each.oid), "rb") as stream:
            return hash_stream(stream)

    return read
