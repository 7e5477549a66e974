"""Mirror remote sources (`s3://`, `https://`, `hf://`, anything that fsspec opens) into the workspace.

Only new or changed files are fetched, each whole or not at all. Files that were deleted at the remote are deleted
from the mirror too. A command asks a remote once (`listed_once`). Commands share a mirror, so one that looks again at
it stops if another one has filled it with a newer state. The module does not know what the files mean; the layouts do.
"""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from ops.errors import HIDDEN, EnvironmentFault, UserError, find_credentials
from ops.files.storage import read_json, replace_file, write_json
from ops.sources.spec import SourceSpec, is_remote

INDEX = ".index.json"
LOCAL_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)


@dataclass(frozen=True)
class RemoteFile:
    """A file: the driver's own path, a token that changes with the file, and its bytes if the server tells them."""

    place: str
    token: str
    bytes: int | None


@dataclass(frozen=True)
class _Listed:
    """What one command knows: the file system, path and files of a URI, and what each mirror of it gave."""

    remotes: dict[str, tuple[Any, str, dict[str, RemoteFile]]] = field(default_factory=dict)
    mirrors: dict[tuple[str, Path], Path] = field(default_factory=dict)


_listed: ContextVar[_Listed | None] = ContextVar("_listed", default=None)


@contextmanager
def listed_once() -> Iterator[None]:
    """In the block each remote is listed and mirrored once; a block inside another one belongs to it.

    What changes at the remote meanwhile is seen after the block. Without a block every look lists anew.
    EnvironmentFault in the block, at the next look, if another process has made the mirror one of another state.
    """
    if _listed.get() is not None:
        yield
        return
    token = _listed.set(_Listed())
    try:
        yield
    finally:
        _listed.reset(token)


def fetch_source(spec: SourceSpec, mirrors: Path) -> SourceSpec:
    """The source with a local path; a remote one is first mirrored to `mirrors/<name>`.

    UserError for a URI without a driver in fsspec or without files, EnvironmentFault if it cannot be reached.
    """
    if not is_remote(spec.path):
        return spec
    mirror = mirrors / spec.name
    return spec.model_copy(update={"path": str(update_mirror(spec.path, mirror))})


def update_mirror(uri: str, mirror: Path) -> Path:
    """Make `mirror` a copy of the folder or file at `uri`; returns the folder, or the file in it if `uri` is a file."""
    if (listed := _listed.get()) is None:
        return _update(uri, mirror)
    if (uri, mirror) not in listed.mirrors:
        listed.mirrors[uri, mirror] = _update(uri, mirror)
    else:
        _require_same(uri, mirror)
    return listed.mirrors[uri, mirror]


def _require_same(uri: str, mirror: Path) -> None:
    """EnvironmentFault if the mirror is no longer of the state that this block listed."""
    index = mirror / INDEX
    if not index.exists() or read_json(index) != _list_tokens(_open(uri)[2]):
        raise EnvironmentFault(f"another command has fetched a newer state of {uri} meanwhile; run it again")


def _update(uri: str, mirror: Path) -> Path:
    system, root, listed = _open(uri)
    index = mirror / INDEX
    known: dict[str, str] = read_json(index) if index.exists() else {}
    for name, file in listed.items():
        if known.get(name) != file.token or not (mirror / name).is_file():
            _download(system, file.place, mirror / name, uri)
            known[name] = file.token
            write_json(index, known)  # after each file, so that a broken connection costs one file
    for path in [path for path in mirror.rglob("*") if path.is_file() and path != index]:
        if path.relative_to(mirror).as_posix() not in listed:
            path.unlink()
    write_json(index, _list_tokens(listed))
    single = len(listed) == 1 and next(iter(listed.values())).place.rstrip("/") == root.rstrip("/")
    return mirror / next(iter(listed)) if single else mirror


def _list_tokens(listed: dict[str, RemoteFile]) -> dict[str, str]:
    """What the index holds of a mirror that is whole."""
    return {name: file.token for name, file in listed.items()}


def list_remote(uri: str) -> dict[str, RemoteFile]:
    """The files at `uri` by their names below it, without a download; raises as `fetch_source`."""
    return _open(uri)[2]


def _open(uri: str) -> tuple[Any, str, dict[str, RemoteFile]]:
    """The file system of a URI, the path in it, and the files there, at least one."""
    if (listed := _listed.get()) is None:
        return _look(uri)
    if uri not in listed.remotes:
        listed.remotes[uri] = _look(uri)
    return listed.remotes[uri]


def _look(uri: str) -> tuple[Any, str, dict[str, RemoteFile]]:
    from fsspec.core import url_to_fs

    try:
        system, root = url_to_fs(uri)
        system.invalidate_cache()  # a process that lives long would see the listing of its first look for ever
        listed = _list(system, root)
    except (ValueError, ImportError) as error:
        raise UserError(f"{uri} cannot be opened: {_first_line(error, uri)}") from None
    except FileNotFoundError:
        listed = {}
    except Exception as error:  # drivers raise any exception of their client library
        reason = _first_line(error, uri)
        raise EnvironmentFault(f"{uri} cannot be reached ({reason}); run it again when it can") from None
    if not listed:
        _require_answer(system, root, uri)
        raise UserError(f"{uri} names no file; expected a folder or a file of images")
    return system, root, listed


def _list(system: Any, root: str) -> dict[str, RemoteFile]:
    """The files by their names below the root."""
    found = {}
    details: dict[str, Any] = system.find(root, detail=True)
    for place, info in details.items():
        below = PurePosixPath(place.removeprefix(root).lstrip("/") or _name_file(place))
        if ".." in below.parts or below.is_absolute():
            raise ValueError(f"the name {place!r} leads out of the folder")
        if not any(part.startswith(".") for part in below.parts):
            facts = sorted((key, str(value)) for key, value in info.items() if not callable(value))
            size = info.get("size")
            token = hashlib.sha256(repr(facts).encode()).hexdigest()[:32]
            found[str(below)] = RemoteFile(place, token, size if isinstance(size, int) else None)
    return found


def _name_file(place: str) -> str:
    """The name of a single file; that of a web address without its query, which may hold a token."""
    return PurePosixPath(place.partition("?")[0] if "://" in place else place).name


def _require_answer(system: Any, root: str, uri: str) -> None:
    """EnvironmentFault if the server did not answer, which some drivers report as an empty folder."""
    try:
        system.info(root)
    except Exception as error:  # as above
        cause = error.__cause__ if isinstance(error, FileNotFoundError) else error
        if cause is None or isinstance(cause, FileNotFoundError) or not isinstance(cause, OSError):
            return
        reason = _first_line(error, uri)
        raise EnvironmentFault(f"{uri} cannot be reached ({reason}); run it again when it can") from None


def _download(system: Any, place: str, target: Path, uri: str) -> None:
    try:
        with replace_file(target) as temporary:
            system.get_file(place, str(temporary))
    except Exception as error:  # as above
        if isinstance(error, OSError) and error.errno in LOCAL_DISK_ERRORS:
            raise  # a fault of the local disk, not of the remote
        reason = _first_line(error, uri)
        raise EnvironmentFault(f"{place} of {uri} cannot be fetched ({reason}); run it again") from None


def _first_line(error: Exception, uri: str) -> str:
    """The first line of the driver's message, with the URI's credentials hidden.

    The driver's exception is not chained, because it may contain them.
    """
    message = error.strerror or error.args if isinstance(error, OSError) else str(error)
    text = str(message[0]) if isinstance(message, tuple) and message else str(message or "")
    line = (text.splitlines() or [type(error).__name__])[0]
    for secret in sorted(find_credentials(uri), key=len, reverse=True):
        line = line.replace(secret, HIDDEN)
    return line
