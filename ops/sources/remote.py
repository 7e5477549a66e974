"""Sources that lie elsewhere (`s3://`, `https://`, `hf://`, whatever fsspec opens), mirrored into the workspace.

Only files that are new or changed there are fetched, each whole or not at all; files that are gone there go here
too. What the files mean is the layouts' business.
"""

from __future__ import annotations

import errno
import hashlib
from pathlib import Path, PurePosixPath
from typing import Any

from ops.errors import HIDDEN, EnvironmentFault, UserError, find_credentials
from ops.files.storage import read_json, replace_file, write_json
from ops.sources.spec import SourceSpec, is_remote

INDEX = ".index.json"
DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES)


def fetch_source(spec: SourceSpec, mirrors: Path) -> SourceSpec:
    """The source with a local path; a remote one is brought up to date in `mirrors/<name>` first.

    UserError for a URI that fsspec has no driver for or that names nothing, EnvironmentFault if it cannot be reached.
    """
    if not is_remote(spec.path):
        return spec
    mirror = mirrors / spec.name
    return spec.model_copy(update={"path": str(update_mirror(spec.path, mirror))})


def update_mirror(uri: str, mirror: Path) -> Path:
    """Make `mirror` a copy of the folder or file at `uri`; returns its folder, or the file in it."""
    from fsspec.core import url_to_fs

    try:
        system, root = url_to_fs(uri)
        listed = _list(system, root)
    except (ValueError, ImportError) as error:
        raise UserError(f"{uri} cannot be opened: {_first_line(error, uri)}") from None
    except FileNotFoundError:
        listed = {}
    except Exception as error:  # drivers raise whatever their client library has
        told = _first_line(error, uri)
        raise EnvironmentFault(f"{uri} cannot be reached ({told}); run it again when it can") from None
    if not listed:
        _require_answer(system, root, uri)
        raise UserError(f"{uri} names no file; expected a folder or a file of images")
    index = mirror / INDEX
    known: dict[str, str] = read_json(index) if index.exists() else {}
    for name, (place, token) in listed.items():
        if known.get(name) != token or not (mirror / name).is_file():
            _download(system, place, mirror / name, uri)
            known[name] = token
            write_json(index, known)  # after each file, so that a broken connection costs one file
    for path in [path for path in mirror.rglob("*") if path.is_file() and path != index]:
        if path.relative_to(mirror).as_posix() not in listed:
            path.unlink()
    write_json(index, {name: token for name, (_, token) in listed.items()})
    single = len(listed) == 1 and next(iter(listed.values()))[0].rstrip("/") == root.rstrip("/")
    return mirror / next(iter(listed)) if single else mirror


def _list(system: Any, root: str) -> dict[str, tuple[str, str]]:
    """By name below the root: the driver's own path, and a token that changes when the file does."""
    found = {}
    details: dict[str, Any] = system.find(root, detail=True)
    for place, info in details.items():
        below = PurePosixPath(place.removeprefix(root).lstrip("/") or PurePosixPath(place).name)
        if ".." in below.parts or below.is_absolute():
            raise ValueError(f"the name {place!r} leads out of it")
        if not any(part.startswith(".") for part in below.parts):
            facts = sorted((key, str(value)) for key, value in info.items() if not callable(value))
            found[str(below)] = place, hashlib.sha256(repr(facts).encode()).hexdigest()[:32]
    return found


def _require_answer(system: Any, root: str, uri: str) -> None:
    """EnvironmentFault where nothing was found because nobody answered: some drivers take that for an empty folder."""
    try:
        system.info(root)
    except Exception as error:  # as above
        cause = error.__cause__ if isinstance(error, FileNotFoundError) else error
        if cause is None or isinstance(cause, FileNotFoundError) or not isinstance(cause, OSError):
            return
        told = _first_line(error, uri)
        raise EnvironmentFault(f"{uri} cannot be reached ({told}); run it again when it can") from None


def _download(system: Any, place: str, target: Path, uri: str) -> None:
    try:
        with replace_file(target) as temporary:
            system.get_file(place, str(temporary))
    except Exception as error:  # as above
        if isinstance(error, OSError) and error.errno in DISK:
            raise  # the disk here, not the place there
        told = _first_line(error, uri)
        raise EnvironmentFault(f"{place} of {uri} cannot be fetched ({told}); run it again") from None


def _first_line(error: Exception, uri: str) -> str:
    """What the driver says, without what it repeats of the URI's credentials; its own exception is not chained."""
    told = error.strerror or error.args if isinstance(error, OSError) else str(error)
    text = str(told[0]) if isinstance(told, tuple) and told else str(told or "")
    line = (text.splitlines() or [type(error).__name__])[0]
    for secret in sorted(find_credentials(uri), key=len, reverse=True):
        line = line.replace(secret, HIDDEN)
    return line
