"""The manifest of an output: what it was made from, and the size and sha256 of each of its files.

A manifest is sealed: it holds the hash of all that it says, so that an edited one is noticed. The module compares no
file with its manifest; `ops.stages.integrity` does.
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
PUBLISHED = "published_dataset"  # the output that is an asset with a pointer of its own, not a stage of dvc.yaml
REQUIRED = ("stage", "fingerprint", "inputs", "content", "files", "metrics")


def describe_output(folder: Path, identity: Mapping[str, Any], metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The sealed manifest: identity, every file's size and hash, their joint content hash, metrics, environment."""
    files = {
        name: {"bytes": (folder / name).stat().st_size, "sha256": hash_file(folder / name)}
        for name in list_files(folder)
        if not is_hidden(name)
    }
    said = {**identity, "content": join_hashes(files), "files": files, "metrics": metrics}
    return seal({**said, "environment": describe_environment()})


def list_files(folder: Path) -> Iterator[str]:
    """Names, relative to `folder` and sorted, of all its files but the manifest."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if name != MANIFEST and path.is_file():
            yield name


def is_hidden(name: str) -> bool:
    """Whether a file or a folder on its path is hidden: what operating systems leave is no part of an output."""
    return any(part.startswith(".") for part in name.split("/"))


def join_hashes(files: Mapping[str, Mapping[str, Any]]) -> str:
    """The content hash of an output: equal for equal names and bytes."""
    return hash_json({name: entry["sha256"] for name, entry in files.items()})


def seal(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest as JSON will give it back, with the hash of everything else that it says."""
    said = json.loads(json.dumps({key: value for key, value in manifest.items() if key != SEAL}))
    return {**said, SEAL: hash_json(said)}


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of an output; UserError if there is none, DamagedData if it is not what was written.

    A manifest without a seal, which an earlier Growset wrote, is read; `is_sealed` tells.
    """
    path = folder / MANIFEST
    if not path.exists():
        raise UserError(f"{folder} has no {MANIFEST}: run the stage that makes it, or `growset pull`")
    manifest = read_json(path)
    if not isinstance(manifest, dict) or any(key not in manifest for key in REQUIRED):
        raise DamagedData(f"{path} is no manifest: it lacks one of {', '.join(REQUIRED)}")
    if manifest["stage"] != PUBLISHED and not {"version", "settings"} <= manifest.keys():
        raise DamagedData(f"{path} is no manifest of a stage: it lacks version or settings")
    if not all(isinstance(manifest[key], dict) for key in ("inputs", "files", "metrics")):
        raise DamagedData(f"{path} is no manifest: inputs, files and metrics must be objects")
    files = manifest["files"]
    if not isinstance(files, dict) or not all(
        isinstance(f, dict) and {"bytes", "sha256"} <= f.keys() for f in files.values()
    ):
        raise DamagedData(f"{path} is no manifest: its files have no bytes and sha256")
    if SEAL in manifest and seal(manifest)[SEAL] != manifest[SEAL]:
        raise DamagedData(f"{path} is not what was written: its seal does not match")
    if manifest["content"] != join_hashes(manifest["files"]):
        raise DamagedData(f"{path} is not what was written: its content hash does not match its files")
    return manifest


def is_sealed(manifest: Mapping[str, Any]) -> bool:
    """Whether the manifest would show an edit."""
    return SEAL in manifest
