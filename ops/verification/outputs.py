"""Check the bytes of every output against its manifest and DVC's list of files, and the links between outputs.

Every file is read once for both hashes. Images and tables are not opened.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ops.errors import DamagedData
from ops.files.manifests import MANIFEST, PUBLISHED, is_hidden, is_sealed, list_files, read_manifest
from ops.recipe.fingerprints import stage_fingerprint
from ops.recipe.stages import STAGES
from ops.remotes.objects import map_threads
from ops.verification.findings import Finding, Subject

UNRECORDED = "differs from the file that DVC recorded"
_CHUNK = 2**20
Listed = Mapping[Path, str]  # md5 in hex by file, from DVC's lists


def check_bytes(subject: Subject, listed: Listed, advance: Callable[[int], None] = lambda files: None) -> list[Finding]:
    """The size and sha256 of each file match the manifest, its md5 matches DVC's list, and there are no other files.

    listed: the files that DVC lists; an output without listed files is compared with its manifest only.
    """
    findings: list[Finding] = []
    entries: dict[Path, dict[str, Any]] = {}
    for stage in subject.present:
        folder = subject.folder(stage)
        try:
            manifest = read_manifest(folder)
        except DamagedData as error:
            findings.append(Finding(folder / MANIFEST, _strip(error, folder / MANIFEST), subject.restore))
            manifest = {"files": {}}
        if manifest["files"] and not is_sealed(manifest):
            unsealed = "has no seal: an earlier Growset wrote it, or it was edited"
            findings.append(Finding(folder / MANIFEST, unsealed, subject.rebuild(stage)))
        entries |= {folder / name: entry for name, entry in manifest["files"].items()}
        entries[folder / MANIFEST] = {}
        findings += [
            Finding(folder / name, f"is not part of this output; {MANIFEST} does not list it", "move it elsewhere")
            for name in list_files(folder)
            if manifest["files"] and name not in manifest["files"] and not is_hidden(name)
        ]
    paths = list(entries)
    for done, (path, found) in enumerate(zip(paths, map_threads(_hash_both, paths), strict=True), 1):
        if what := _compare(path, found, entries[path], listed.get(path)):
            findings.append(Finding(path, what, subject.restore))
        advance(done)
    missing = sorted(path for path in listed if path not in entries and not path.exists())
    return findings + [Finding(path, "is missing", subject.restore) for path in missing]


def count_files(subject: Subject) -> int:
    """The number of files of all present outputs, manifests included."""
    return sum(1 + sum(1 for _ in list_files(subject.folder(stage))) for stage in subject.present)


def check_links(subject: Subject) -> list[Finding]:
    """Each output was made from the present inputs, and its fingerprint follows from its manifest."""
    manifests = {}
    for stage in subject.present:
        try:
            manifests[stage] = read_manifest(subject.folder(stage))
        except DamagedData:
            continue  # `check_bytes` reports it
    findings = []
    for stage, manifest in manifests.items():
        if stage == PUBLISHED and not subject.publishes:
            continue
        path = subject.folder(stage) / MANIFEST
        for name, content in manifest["inputs"].items():
            if name in manifests and manifests[name]["content"] != content:
                what = f"records that {stage} was made from another {name} than the present one"
                findings.append(Finding(path, what, subject.remake))
        if stage == PUBLISHED:
            continue
        recorded: list[Any] = [manifest.get(key) for key in ("version", "settings", "inputs")]
        if manifest["stage"] != stage or manifest["fingerprint"] != stage_fingerprint(stage, *recorded):
            what = "has a fingerprint that does not follow from its settings, version and inputs"
            findings.append(Finding(path, what, subject.restore))
        if lacking := [name for name in STAGES[stage].recorded if name not in manifest["inputs"]]:
            findings.append(Finding(path, f"does not record which {lacking[0]} it was made from", subject.remake))
    return findings


def _hash_both(path: Path) -> tuple[int, str, str] | None:
    """Size in bytes, sha256 and md5 of a file; None if it does not exist."""
    sha, md5, size = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
    if not path.is_file():
        return None
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            sha.update(chunk)
            md5.update(chunk)
            size += len(chunk)
    return size, sha.hexdigest(), md5.hexdigest()


def _compare(path: Path, found: tuple[int, str, str] | None, entry: Mapping[str, Any], md5: str | None) -> str | None:
    if found is None:
        return "is missing"
    if entry and found[0] != entry["bytes"]:
        return f"has {found[0]:,} bytes instead of {entry['bytes']:,}"
    if entry and found[1] != entry["sha256"]:
        return "does not hold the bytes that were written"
    if md5 is not None and found[2] != md5:
        return UNRECORDED
    return None


def _strip(error: Exception, path: Path) -> str:
    return str(error).removeprefix(f"{path} ")
