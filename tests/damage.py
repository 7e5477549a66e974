"""Ways to damage a stored file behind DVC's back, with or without a changed time, and where DVC's objects lie."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ops.history.dvc_repository import open_repo
from ops.remotes.objects import cache_path, head_object, list_files

Damage = Callable[[Path], None]


@contextmanager
def _writable(path: Path) -> Iterator[None]:
    """As somebody with all rights writes: mode and times are as they were afterwards."""
    before = path.stat()
    path.chmod(0o644)
    yield
    path.chmod(before.st_mode)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def flip(path: Path) -> None:
    """Change one bit in the middle; size, mode and times stay."""
    with _writable(path):
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)


def truncate(path: Path) -> None:
    """Cut off the last byte; mode and times stay."""
    with _writable(path):
        path.write_bytes(path.read_bytes()[:-1])


def replace(path: Path) -> None:
    """Another file in its place, as an editor does it."""
    content, mode = path.read_bytes(), path.stat().st_mode
    path.unlink()
    path.write_bytes(bytes(reversed(content)))
    path.chmod(mode)


DAMAGES: dict[str, Damage] = {"flip": flip, "truncate": truncate, "replace": replace, "delete": Path.unlink}


def find_object(root: Path, file: str) -> str:
    """The name of the object that holds a file of the workspace, `data/digits/scorer/manifest.json` or a folder."""
    with open_repo(root) as repo:
        for out in repo.index.outs:
            for each in (head_object(out), *list_files(repo, out)):
                if each.file == root / file:
                    return each.oid
    raise KeyError(file)


def find_cached(root: Path, file: str) -> Path:
    """Where the cache keeps the content of a file."""
    with open_repo(root) as repo:
        return cache_path(repo, find_object(root, file))


def find_sent(storage: Path, root: Path, file: str) -> Path:
    """Where a remote that is a folder keeps the content of a file."""
    oid = find_object(root, file)
    return storage / "files" / "md5" / oid[:2] / oid[2:]
