"""Whether the files of an output match its manifest byte for byte."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ops.errors import DamagedData, UserError
from ops.files.hash_cache import HashCache, describe_file
from ops.files.hashing import hash_file
from ops.files.manifests import MANIFEST, PUBLISHED, is_hidden, is_sealed, list_files, read_manifest
from ops.workspaces.workspace import Workspace


@dataclass(frozen=True)
class Damage:
    """A file that differs from what was written; `what` completes a sentence that begins with its path."""

    path: Path
    what: str

    def __str__(self) -> str:
        return f"{self.path} {self.what}"


def describe_files(folder: Path) -> dict[str, list[int]]:
    """Size, inode, modification and change time of an output's files, by name. Any write to a file changes them."""
    return {
        name: [size, inode, modified, changed]
        for name in list_files(folder)
        if not is_hidden(name)
        for size, inode, _, modified, changed in [describe_file(folder / name)]
    }


def find_damage(folder: Path, cache: Path | None = None) -> Damage | None:
    """The first file in `folder` that differs from the manifest or is not listed in it; None if all match.

    cache: the file of a `HashCache`; with None, every byte is read. Raises UserError if the folder has no manifest.
    """
    try:
        manifest = read_manifest(folder)
    except DamagedData as error:
        return Damage(folder / MANIFEST, str(error).removeprefix(f"{folder / MANIFEST} "))
    if not is_sealed(manifest):
        return Damage(folder / MANIFEST, "has no seal: an earlier Growset wrote it, or it was edited")
    hashes = HashCache(cache) if cache else None
    damage = _compare(folder, manifest["files"], hashes)
    if hashes is not None:
        hashes.save()
    return damage


def _compare(folder: Path, files: dict[str, dict[str, Any]], hashes: HashCache | None) -> Damage | None:
    for name, entry in files.items():
        path = folder / name
        if not path.is_file():
            return Damage(path, "is missing")
        if (size := path.stat().st_size) != entry["bytes"]:
            return Damage(path, f"has {size:,} bytes instead of {entry['bytes']:,}")
        if (hashes.hash_file(folder, name) if hashes else hash_file(path)) != entry["sha256"]:
            return Damage(path, "does not hold the bytes that were written")
    for name in list_files(folder):
        if name not in files and not is_hidden(name):
            return Damage(folder / name, f"is not part of this output; {MANIFEST} does not list it")
    return None


def is_intact(folder: Path, fingerprint: str | None = None, cache: Path | None = None) -> bool:
    """Whether an output exists, is sealed and undamaged and, if `fingerprint` is given, has that one."""
    try:
        manifest = read_manifest(folder)
    except (UserError, DamagedData):  # the manifest is missing or unreadable
        return False
    if fingerprint not in (None, manifest["fingerprint"]):
        return False
    return find_damage(folder, cache) is None


def find_stage_damage(workspace: Workspace, expansion: str, stage: str) -> Damage | None:
    """`find_damage` of a stage's output, or of the published dataset, with the workspace's cache."""
    folder = workspace.published(expansion) if stage == PUBLISHED else workspace.output(expansion, stage)
    return find_damage(folder, workspace.hash_cache(expansion, stage))


def require_intact(workspace: Workspace, expansion: str, stages: Iterable[str]) -> None:
    """DamagedData if a file of an output differs from what its stage wrote; UserError if an output is missing."""
    for stage in stages:
        if damage := find_stage_damage(workspace, expansion, stage):
            raise DamagedData(f"{damage}; make {stage} anew with: growset run {expansion}")
