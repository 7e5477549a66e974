"""Files of a folder that holds networks in the layout of the Hugging Face Hub: JSON and safetensors, and nothing else.

A pickle may run code, so none is opened. Of the weights only headers are read. The module does not know what the
networks are for.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ops.errors import DamagedData, UserError
from ops.files.hash_cache import HashCache
from ops.files.hashing import hash_json
from ops.files.storage import parse_json

_LFS_POINTER = b"version https://git-lfs"


def require_file(path: Path, name: str, key: str) -> Path:
    """The file `name` of the folder `path`; UserError, with the recipe's section `key`, if there is none, or only a
    pointer to it."""
    if not (path / name).is_file():
        raise UserError(f"{key}.model: the folder {path} has no {name}")
    with (path / name).open("rb") as file:
        if file.read(len(_LFS_POINTER)) == _LFS_POINTER:
            raise UserError(
                f"{key}.model: {path / name} is only a Git LFS pointer to the file; run `git lfs pull` there"
            )
    return path / name


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file; DamagedData if it holds none."""
    try:
        value = parse_json(path.read_bytes())
    except ValueError as error:
        raise DamagedData(f"{path} is not valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise DamagedData(f"{path} does not hold a JSON object")
    return value


def check_weights(path: Path) -> None:
    """DamagedData unless the header of a safetensors file is valid and the file holds all tensors of the header."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy"):
            pass
    except SafetensorError as error:
        raise DamagedData(f"{path} is not a valid safetensors file: {error}") from None


def open_cache(root: Path, folder: Path) -> HashCache:
    """The hashes of the folder's files, kept in the workspace `root`."""
    name = hash_json(str(folder.resolve()))[:16]
    return HashCache(root / ".growset" / "hashes" / "pipelines" / f"{name}.json")


def require_identity(path: Path, found: str, stated: str | None, key: str) -> str:
    """`found`, the sha256 of a folder's used files; UserError, with the right value, unless the recipe states it."""
    if stated is None:
        raise UserError(f"{key}.sha256 is missing; the content of {path} has {found}")
    if stated != found:
        raise UserError(f"{key}.sha256 does not fit {path}: its content has {found}")
    return found
