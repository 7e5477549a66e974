"""Files that appear whole or not at all: write beside the target, fsync, rename (design, contract 3)."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ops.errors import DamagedData


def sync(path: Path) -> None:
    """Flush a file or folder to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def replace_file(path: Path) -> Iterator[Path]:
    """A temporary path in the same folder; renamed to `path` if the block ends without an exception."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        sync(temporary)
        os.replace(temporary, path)
        sync(path.parent)
    except OSError as error:
        error.filename = error.filename or str(path)  # a failing write does not name its file
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Replace a text file atomically."""
    with replace_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_bytes(path: Path, content: bytes) -> None:
    """Replace a file atomically."""
    with replace_file(path) as temporary:
        temporary.write_bytes(content)


def write_json(path: Path, value: Any) -> None:
    """Replace a JSON file atomically; keys keep their order, so equal values give equal bytes."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def link_file(source: Path, target: Path) -> None:
    """Make `target` a hard link to `source`, or a copy if links are impossible; atomically.

    Do not write to either in place afterwards.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with replace_file(target) as temporary:
        try:
            os.link(source, temporary)
        except OSError:  # another filesystem, a filesystem without links, or too many links
            shutil.copyfile(source, temporary)


def read_json(path: Path) -> Any:
    """The value of a JSON file that Growset wrote; DamagedData if it is not JSON."""
    try:
        return parse_json(path.read_bytes())
    except ValueError as error:
        raise DamagedData(f"{path} is not JSON: {error}") from None


def parse_json(text: str | bytes) -> Any:
    """The value of a JSON text. ValueError if it is not JSON, is nested too deeply or has half of a surrogate pair.

    A lone escape such as \\ud800 is not a character, and no UTF-8 file can hold it.
    """
    try:
        value = json.loads(text)
        if (b"\\u" if isinstance(text, bytes) else "\\u") in text:  # type: ignore[operator]
            json.dumps(value, ensure_ascii=False).encode()
        return value
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def replace_folder(staged: Path, target: Path) -> None:
    """Rename the finished folder `staged` to `target` (same filesystem), replacing an old one.

    A crash between the two renames leaves the old version under `.<name>.old`; the next call or `recover_folder`
    restores it. A half-written folder is never visible under `target`.
    """
    for file in staged.rglob("*"):
        sync(file)
    sync(staged)
    target.parent.mkdir(parents=True, exist_ok=True)
    old = _aside(target)
    recover_folder(target)
    if target.exists():
        os.rename(target, old)
    os.rename(staged, target)
    sync(target.parent)
    if old.exists():
        shutil.rmtree(old)


def _aside(target: Path) -> Path:
    return target.with_name(f".{target.name}.old")


def recover_folder(target: Path) -> None:
    """Finish or undo a `replace_folder` that a crash interrupted."""
    old = _aside(target)
    if old.exists():
        if target.exists():
            shutil.rmtree(old)
        else:
            os.rename(old, target)
