"""The manifest of an output: its inputs, and the size and sha256 of each of its files.

A manifest is sealed: it holds the hash of its own content, so that an edit is noticed. The module does not compare
files with their manifest; `ops.stages.integrity` does.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ops.errors import DamagedData, UserError
from ops.files.hashing import hash_file, hash_json
from ops.files.storage import read_json
from ops.machine.environment import describe_environment

MANIFEST = "manifest.json"
SEAL = "seal"
PUBLISHED = "published_dataset"  # an output that is not a stage of dvc.yaml: an asset with its own DVC pointer
REQUIRED = ("stage", "fingerprint", "inputs", "content", "files", "metrics")


def describe_output(folder: Path, identity: Mapping[str, Any], metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The sealed manifest: identity, size and hash of every file, the joint content hash, metrics, environment."""
    content = {**describe_files(folder), "metrics": metrics}
    return seal({**identity, **content, "environment": describe_environment()})


def describe_part(folder: Path, stage: str, metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The sealed manifest of a folder inside an output of `stage`, for readers of such outputs.

    It follows from the folder's files and metrics alone, so that the output's own content hash does.
    """
    found = describe_files(folder)
    identity = {"stage": stage, "version": 0, "fingerprint": found["content"], "settings": {}, "inputs": {}}
    return seal({**identity, **found, "metrics": metrics})


def describe_files(folder: Path) -> dict[str, Any]:
    """Size and hash of every file that is not hidden, and their joint content hash."""
    files = {
        name: {"bytes": (folder / name).stat().st_size, "sha256": hash_file(folder / name)}
        for name in list_files(folder)
        if not is_hidden(name)
    }
    return {"content": join_hashes(files), "files": files}


def list_files(folder: Path) -> Iterator[str]:
    """The names of all files in `folder` except the manifest, relative to it and sorted."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if name != MANIFEST and path.is_file():
            yield name


def is_hidden(name: str) -> bool:
    """Whether a file or a folder on its path is hidden, such as operating systems create; outputs exclude them."""
    return any(part.startswith(".") for part in name.split("/"))


def join_hashes(files: Mapping[str, Mapping[str, Any]]) -> str:
    """The content hash of an output; equal names and bytes give equal hashes."""
    return hash_json({name: entry["sha256"] for name, entry in files.items()})


def seal(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest as it will be after a round trip through JSON, with the hash of the rest of its content."""
    content = json.loads(json.dumps({key: value for key, value in manifest.items() if key != SEAL}))
    return {**content, SEAL: hash_json(content)}


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of an output; UserError if there is none, DamagedData if it was changed.

    A manifest without a seal, which an earlier Growset wrote, is accepted; check `is_sealed`.
    """
    path = folder / MANIFEST
    if not path.exists():
        raise UserError(f"{folder} has no {MANIFEST}: run the stage that makes it, or `growset pull`")
    manifest = read_json(path)
    if not isinstance(manifest, dict) or any(key not in manifest for key in REQUIRED):
        raise DamagedData(f"{path} is not a manifest: it lacks one of {', '.join(REQUIRED)}")
    if manifest["stage"] != PUBLISHED and not {"version", "settings"} <= manifest.keys():
        raise DamagedData(f"{path} is not the manifest of a stage: it lacks version or settings")
    if not all(isinstance(manifest[key], dict) for key in ("inputs", "files", "metrics")):
        raise DamagedData(f"{path} is not a manifest: inputs, files and metrics must be objects")
    files = manifest["files"]
    if not isinstance(files, dict) or not all(
        isinstance(f, dict) and {"bytes", "sha256"} <= f.keys() for f in files.values()
    ):
        raise DamagedData(f"{path} is not a manifest: its files lack bytes or sha256")
    if SEAL in manifest and seal(manifest)[SEAL] != manifest[SEAL]:
        raise DamagedData(f"{path} was changed after it was written: its seal does not match")
    if manifest["content"] != join_hashes(manifest["files"]):
        raise DamagedData(f"{path} was changed after it was written: its content hash does not match its files")
    return manifest


def is_sealed(manifest: Mapping[str, Any]) -> bool:
    """Whether the manifest has a seal, which reveals edits."""
    return SEAL in manifest
