"""Look at a source without reading it: a signature that changes with its files, their number and bytes.

Nothing is downloaded and no pixel is read, so that a look every minute costs little. The images are counted, and files
on this machine hashed, only where the signature has changed. A run notes what it has read in `.growset/watched`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath

from ops.errors import DamagedData, GrowsetError, find_fault
from ops.files.hashing import hash_json
from ops.files.storage import read_json, write_json
from ops.sources.conversion import SUFFIXES
from ops.sources.layouts import LAYOUTS
from ops.sources.reading import hash_source
from ops.sources.remote import list_remote
from ops.sources.spec import SourceSpec, is_remote, load_source_spec
from ops.workspaces.workspace import Workspace

FAULTS = (GrowsetError, OSError)  # a file may vanish between listing and stat, a disk or a server fail at any moment
HASHED = 10**9  # bytes of a source that is hashed in a look; a larger one is hashed by the run
IN_FILES = ("folder", "metadata")  # layouts in which every image is a file
IRRELEVANT = {"name", "licence", "origin", "allow_conflicts"}  # keys of a description that change no image


@dataclass(frozen=True)
class Listing:
    """The files of a source now. `fault` is the sentence where they cannot be listed; `signature` then stands for that.

    bytes: by name; None where the server does not tell.
    """

    signature: str
    bytes: Mapping[str, int | None] = field(default_factory=dict)
    fault: str | None = None

    @property
    def total(self) -> int | None:
        """The bytes of all files, where they are known."""
        known = [size for size in self.bytes.values() if size is not None]
        return sum(known) if known and len(known) == len(self.bytes) else None


@dataclass(frozen=True)
class Measured:
    """The images of a source, the hash of its content and its bytes; None where that takes a download or too long,
    and everywhere where a file cannot be read."""

    images: int | None
    content: str | None
    bytes: int | None


@dataclass(frozen=True)
class Watched:
    """What the last run has read: the signature of its source, as it was before the run read it, and its measures."""

    signature: str
    measured: Measured


def list_source(workspace: Workspace, source: str) -> Listing:
    """The files of a source and their signature. It raises nothing: what is wrong is the listing's `fault`."""
    try:
        spec = load_source_spec(workspace.source_path(source))
        files = _list_remote(spec) if is_remote(spec.path) else _list_local(spec)
    except FAULTS as error:
        told = error if isinstance(error, GrowsetError) else find_fault(error) or error
        return Listing(f"unlisted: {type(error).__name__}", fault=str(told))
    options = spec.model_dump(mode="json", exclude=IRRELEVANT)
    facts = {name: token for name, (token, _) in files.items()}
    return Listing(hash_json([options, facts]), {name: size for name, (_, size) in files.items()})


def measure_source(workspace: Workspace, source: str, listing: Listing) -> Measured:
    """Count the images that a listing is about and, on this machine and below HASHED bytes, hash their files.

    It raises nothing either.
    """
    if listing.fault is not None:
        return Measured(None, None, None)
    try:
        spec = load_source_spec(workspace.source_path(source))
        return Measured(_count_images(spec, listing), _hash_files(workspace, spec, listing), listing.total)
    except FAULTS:  # a file that cannot be read: the run tells it
        return Measured(None, None, None)


def read_watched(workspace: Workspace, expansion: str) -> Watched | None:
    """What the last run of an expansion here has read; None before the first, or if the note is damaged."""
    try:
        note = read_json(_place_note(workspace, expansion))
        return Watched(note["signature"], Measured(note["images"], note["content"], note["bytes"]))
    except (FileNotFoundError, DamagedData, KeyError, TypeError):
        return None


def write_watched(workspace: Workspace, expansion: str, source: str, listing: Listing, content: str) -> None:
    """Note what a run has read; `listing` is from before it hashed the files, so that no later change is lost."""
    known = read_watched(workspace, expansion)
    if known is not None and (known.signature, known.measured.content) == (listing.signature, content):
        return
    spec = load_source_spec(workspace.source_path(source))
    try:
        images = _count_images(spec, listing)
    except FAULTS:  # its files have changed since they were read
        images = None
    measured = Measured(images, content, listing.total)
    write_json(_place_note(workspace, expansion), {"signature": listing.signature, **asdict(measured)})


def _place_note(workspace: Workspace, expansion: str) -> Path:
    return workspace.root / ".growset" / "watched" / f"{expansion}.json"


def _list_local(spec: SourceSpec) -> dict[str, tuple[str, int | None]]:
    """By path: what any write to the file changes, and its bytes."""
    found: dict[str, tuple[str, int | None]] = {}
    for path in LAYOUTS[spec.kind].list_files(spec):
        facts = os.stat(path)
        found[str(path)] = (f"{facts.st_size} {facts.st_mtime_ns} {facts.st_ctime_ns}", facts.st_size)
    return found


def _list_remote(spec: SourceSpec) -> dict[str, tuple[str, int | None]]:
    return {name: (file.token, file.bytes) for name, file in list_remote(spec.path).items()}


def _count_images(spec: SourceSpec, listing: Listing) -> int | None:
    """From the labels that the layout lists; at a remote from the names of the files, where each image is a file."""
    if not is_remote(spec.path):
        return sum(len(split.labels) for split in LAYOUTS[spec.kind].list_splits(spec).values())
    if spec.kind not in IN_FILES:
        return None
    return sum(PurePosixPath(name).suffix.lower() in SUFFIXES for name in listing.bytes)


def _hash_files(workspace: Workspace, spec: SourceSpec, listing: Listing) -> str | None:
    if is_remote(spec.path) or listing.total is None or listing.total > HASHED:
        return None
    return hash_source(spec, workspace.source_hash_cache(spec.name))
