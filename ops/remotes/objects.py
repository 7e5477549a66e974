"""The objects of DVC's outputs, and whether their bytes in cache and workspace match their names.

DVC names an object by the md5 of its bytes and assumes that a write-protected one is intact. This module reads every
byte. It knows the cache's layout but not remotes.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeVar

from ops.errors import DamagedData
from ops.files.manifests import MANIFEST
from ops.files.storage import replace_file
from ops.history.dvc_repository import absolute
from ops.machine.parallel import available_cores
from ops.machine.progress import Progress, Sink, ignore
from ops.stages.integrity import is_intact

if TYPE_CHECKING:
    from dvc.output import Output
    from dvc.repo import Repo

PROTECTED = 0o444  # the file mode of objects in DVC's cache
LIST_SUFFIX = ".dir"  # of an object that lists a folder's files
_CHUNK = 2**20
Item = TypeVar("Item")
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class StoredObject:
    """`oid`: DVC's name for it, the md5 in hex, followed by `.dir` for a list of files. `file`: the workspace path of
    its content (absolute; the folder itself for a list)."""

    oid: str
    file: Path

    @property
    def md5(self) -> str:
        return self.oid.removesuffix(LIST_SUFFIX)

    @property
    def is_list(self) -> bool:
        return self.oid.endswith(LIST_SUFFIX)


def hash_stream(stream: BinaryIO) -> str:
    """md5 in hex of the rest of a stream."""
    digest = hashlib.md5(usedforsecurity=False)
    while chunk := stream.read(_CHUNK):
        digest.update(chunk)
    return digest.hexdigest()


def hash_bytes_of(path: Path) -> str | None:
    """md5 in hex of a file; None if it does not exist."""
    try:
        with path.open("rb") as stream:
            return hash_stream(stream)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return None


def map_threads(
    work: Callable[[Item], Answer], items: Collection[Item], threads: int | None = None
) -> Iterator[Answer]:
    """`work(item)` for each item, in order, on several threads: hashing and waiting both release the GIL."""
    with ThreadPoolExecutor(min(threads or available_cores(), len(items)) or 1) as pool:
        yield from pool.map(work, items)


def cache_path(repo: Repo, oid: str) -> Path:
    """The path of an object in the cache."""
    return Path(repo.cache.local.oid_to_path(oid))


def head_object(out: Output) -> StoredObject:
    """The object named in dvc.lock or in the pointer: a file's content, or the list of a folder's files."""
    return StoredObject(str(out.hash_info.value), Path(out.fs_path))


def list_files(repo: Repo, out: Output) -> list[StoredObject]:
    """The objects of an output's files, from the list in the cache; empty for a single file.

    FileNotFoundError if the list is not in the cache, DamagedData if its bytes do not match its name.
    """
    head = head_object(out)
    if not head.is_list:
        return []
    path = cache_path(repo, head.oid)
    content = path.read_bytes()
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != head.md5:
        raise DamagedData(f"{path}, the list of files of {head.file}, is damaged")
    return [StoredObject(entry["md5"], head.file / entry["relpath"]) for entry in json.loads(content)]


def find_damaged(
    repo: Repo, objects: Collection[StoredObject], advance: Callable[[int], None] = lambda done: None
) -> list[StoredObject]:
    """Objects in the cache whose bytes do not match their names. `advance` is called with the number read."""
    hashes = map_threads(lambda each: hash_bytes_of(cache_path(repo, each.oid)), objects)
    damaged = []
    for done, (each, found) in enumerate(zip(objects, hashes, strict=True), 1):
        if found not in (None, each.md5):
            damaged.append(each)
        advance(done)
    return damaged


def find_missing(repo: Repo, objects: Iterable[StoredObject]) -> list[StoredObject]:
    """The objects that are not in the cache."""
    return [each for each in objects if not cache_path(repo, each.oid).is_file()]


def restore_cache(
    repo: Repo, outs: Collection[Output], fetch: Callable[[list[StoredObject]], object], sink: Sink = ignore
) -> list[StoredObject]:
    """Make the cache hold every object of the outputs intact; returns the objects that are still missing.

    Damaged objects are removed. Then `fetch` is called with the missing ones, and the rest is copied from intact files
    of the workspace.
    """
    heads = [head_object(out) for out in outs]
    missing = _complete(repo, heads, fetch, ignore)
    if any(each.is_list for each in missing):
        return missing  # without a list its files are unknown
    files = [each for out in outs for each in list_files(repo, out)]
    return _complete(repo, list(dict.fromkeys(files)), fetch, sink)


def check_out(repo: Repo, targets: Collection[str], outs: Collection[Output]) -> None:
    """Restore workspace files from the cache. DVC compares times and sizes only, so differing files are deleted first.

    A folder that agrees with its own manifest is another version of the output and not damaged, unless the manifest
    alone differs. It is left to DVC, which removes only files that are in the cache.
    """
    objects = [each for out in outs for each in (list_files(repo, out) or [head_object(out)])]
    differing = _find_differing(objects)
    if not differing:
        return
    for out in outs:
        folder = Path(out.fs_path)
        here = [each for each in differing if each.file.is_relative_to(folder)]
        if [each.file for each in here] == [folder / MANIFEST] or not is_intact(folder):
            _unlink(here)
    for _ in range(2):
        repo.checkout(targets=absolute(Path(repo.root_dir), targets))
        if not (differing := _find_differing(objects)):
            return
        _unlink(differing)  # changed without a change of its time
    raise DamagedData(f"{differing[0].file} differs from the file that DVC checked out; check the disk and pull again")


def _find_differing(objects: list[StoredObject]) -> list[StoredObject]:
    hashes = map_threads(lambda each: hash_bytes_of(each.file), objects)
    return [each for each, found in zip(objects, hashes, strict=True) if found != each.md5]


def _unlink(objects: Iterable[StoredObject]) -> None:
    for each in objects:
        each.file.unlink(missing_ok=True)


def _complete(
    repo: Repo, objects: list[StoredObject], fetch: Callable[[list[StoredObject]], object], sink: Sink
) -> list[StoredObject]:
    _remove(repo, find_damaged(repo, objects, Progress(sink, "cache", len(objects), "objects").update))
    missing = find_missing(repo, objects)
    if missing:
        fetch(missing)
        _remove(repo, find_damaged(repo, missing, Progress(sink, "fetched", len(missing), "objects").update))
        missing = find_missing(repo, missing)
    for each in missing:
        _take_from_workspace(repo, each)
    return find_missing(repo, missing)


def _remove(repo: Repo, objects: Iterable[StoredObject]) -> None:
    for each in objects:
        cache_path(repo, each.oid).unlink(missing_ok=True)


def _take_from_workspace(repo: Repo, wanted: StoredObject) -> None:
    """Copy an object's content from the workspace into the cache, if the workspace has it unchanged."""
    content = _read_list(wanted.file, wanted.md5) if wanted.is_list else None
    if content is None and hash_bytes_of(wanted.file) != wanted.md5:
        return
    target = cache_path(repo, wanted.oid)
    target.parent.mkdir(parents=True, exist_ok=True)
    with replace_file(target) as temporary:
        if content is None:
            shutil.copyfile(wanted.file, temporary)
        else:
            temporary.write_bytes(content)
        os.chmod(temporary, PROTECTED)


def _read_list(folder: Path, md5: str) -> bytes | None:
    """The list of files that DVC would write for a folder now, if its md5 is the wanted one; else None."""
    if not folder.is_dir():
        return None
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    names = sorted(files)
    hashes = map_threads(lambda name: hash_bytes_of(files[name]), names)
    entries = [{"md5": found, "relpath": name} for name, found in zip(names, hashes, strict=True)]
    content = json.dumps(entries, sort_keys=True).encode()
    return content if hashlib.md5(content, usedforsecurity=False).hexdigest() == md5 else None
