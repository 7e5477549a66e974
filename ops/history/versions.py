"""The published versions of an expansion: their commits in git's history, and their contents.

A version is a commit that changed the pointer `published/<expansion>.dvc`. Its name is its tag, `<expansion>/vN`, or
its short hash. A publication that is not committed is a version too, named like the expansion. Files come from DVC's
cache or the remote, whatever is checked out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from ops.datasets.pixels import ROW_SCHEMA
from ops.errors import DamagedData, EnvironmentFault, UserError
from ops.files.manifests import MANIFEST, is_sealed, seal
from ops.files.outputs import VERDICT
from ops.history.dvc_repository import open_revision
from ops.history.git import describe_head, run_git
from ops.workspaces.workspace import Workspace, suggest

COLUMNS = ("image_id", "label", "split", "is_generated", "weight")


@dataclass(frozen=True)
class Version:
    """`commit` is None for a publication that is not committed; `date` is ISO 8601."""

    name: str
    expansion: str
    commit: str | None
    date: str


@dataclass(frozen=True)
class Contents:
    """A version's contents: its manifest's metrics, its verdict, and rows with the class name instead of the label."""

    version: Version
    metrics: dict[str, Any]
    verdict: dict[str, Any]
    rows: pl.DataFrame


def list_versions(workspace: Workspace, expansion: str) -> list[Version]:
    """Versions, newest first; a publication that is not committed comes before all others.

    A tag may lie on a later commit, if the pointer was committed by hand: it names the newest version of its bytes.
    """
    pointer = _pointer(expansion)
    commits, tags = _list_commits(workspace, pointer), _list_tags(workspace, expansion)  # both newest first
    own = {commit: tag for tag, commit in reversed(tags.items())}
    later = {_find_blob(workspace, commit, pointer): tag for commit, tag in own.items() if commit not in commits}
    versions, named = [], set[str]()
    for commit, (date, blob) in commits.items():
        tag = own.get(commit) or (later.get(blob) if blob not in named else None)
        named.add(blob)
        versions.append(Version(tag or commit[:10], expansion, commit, date))
    path = workspace.root / pointer
    if path.exists() and (not versions or _is_changed(workspace, pointer)):
        date = datetime.fromtimestamp(path.stat().st_mtime).astimezone().isoformat(timespec="seconds")
        versions.insert(0, Version(expansion, expansion, None, date))
    return versions


def _list_commits(workspace: Workspace, pointer: str) -> dict[str, tuple[str, str]]:
    """By commit that changed the pointer, newest first, its date and the pointer's blob; without those that removed
    it."""
    if not describe_head(workspace.root):
        return {}  # nothing is committed yet
    found = {}
    for line in run_git(workspace.root, "log", "--format=%H%x09%cI", "--", pointer).splitlines():
        commit, date = line.split("\t")
        if blob := _find_blob(workspace, commit, pointer):
            found[commit] = (date, blob)
    return found


def _list_tags(workspace: Workspace, expansion: str) -> dict[str, str]:
    """The commit of each tag of the expansion, newest first."""
    layout = "%(refname:lstrip=2)%09%(if)%(*objectname)%(then)%(*objectname)%(else)%(objectname)%(end)"
    order = ("--sort=-version:refname", f"--format={layout}", f"refs/tags/{expansion}/")
    return dict(line.split("\t") for line in run_git(workspace.root, "for-each-ref", *order).splitlines())


def _find_blob(workspace: Workspace, commit: str, pointer: str) -> str:
    """The pointer's blob in a commit; empty where it has none."""
    entry = run_git(workspace.root, "ls-tree", commit, "--", pointer).split()
    return entry[2] if entry else ""


def find_version(workspace: Workspace, text: str) -> Version:
    """`smoke/v2` is a tag, `smoke@<revision>` any git revision, `smoke` the current publication here.

    UserError if there is no such expansion, revision or version.
    """
    expansion, at, revision = text.partition("@")
    if not at and "/" in text:
        expansion, revision = text.rpartition("/")[0], text
    pointer = _pointer(expansion)
    if not revision:
        path = workspace.root / pointer
        if not path.exists():
            known = sorted(p.stem for p in path.parent.glob("*.dvc"))
            raise UserError(f"'{expansion}' is not published here; {suggest(expansion, known)}")
        date = datetime.fromtimestamp(path.stat().st_mtime).astimezone().isoformat(timespec="seconds")
        return Version(expansion, expansion, None, date)
    try:
        commit = run_git(workspace.root, "rev-parse", "--verify", "--end-of-options", f"{revision}^{{commit}}").strip()
        date = run_git(workspace.root, "log", "-1", "--format=%cI", commit).strip()
        there = run_git(workspace.root, "ls-tree", "--name-only", commit, "--", pointer).strip()
    except EnvironmentFault:
        there = ""
    if not there:
        known = [version.name for version in list_versions(workspace, expansion)]
        hint = f"its versions: {', '.join(known)}" if known else "it has no versions yet"
        raise UserError(f"there is no version '{text}' of '{expansion}'; {hint}")
    return Version(text, expansion, commit, date)


def read_metrics(workspace: Workspace, version: Version) -> dict[str, Any] | None:
    """Counts, verdict and quality of a version; None if neither the cache nor the remote has it any more."""
    try:
        with _open_files(workspace, version) as open_file:
            metrics: dict[str, Any] = _read_sealed(open_file, version)["metrics"]
            return metrics
    except EnvironmentFault:
        return None


def read_contents(workspace: Workspace, version: Version) -> Contents:
    """Everything but the pixels. EnvironmentFault if neither the cache nor the remote has the version."""
    with _open_files(workspace, version) as open_file:
        return _read_contents(open_file, version)


def read_published(workspace: Workspace, expansion: str) -> Contents | None:
    """The same of the dataset in published/, whatever DVC knows of it; None if there is none.

    DamagedData if a file is not what its manifest says.
    """
    folder = workspace.published(expansion)
    if not (folder / MANIFEST).is_file():
        return None
    date = datetime.fromtimestamp((folder / MANIFEST).stat().st_mtime).astimezone().isoformat(timespec="seconds")
    try:
        return _read_contents(lambda name: (folder / name).open("rb"), Version(expansion, expansion, None, date))
    except FileNotFoundError as error:
        raise DamagedData(f"{error.filename} is missing; restore it with: growset pull {expansion}") from error


def _read_contents(open_file: Any, version: Version) -> Contents:
    manifest = _read_sealed(open_file, version)
    verdict = json.loads(_read_whole(open_file, version, manifest, VERDICT))
    frames = []
    for name in sorted(name for name in manifest["files"] if name.endswith(".parquet")):
        content = _read_whole(open_file, version, manifest, name)
        table = pq.read_table(pa.BufferReader(content), columns=list(COLUMNS))
        names = json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]["label"]["names"]
        frame = pl.DataFrame(table)
        classes = pl.Series(names).gather(frame["label"])
        frames.append(frame.with_columns(classes.alias("class")).drop("label"))
    rows = pl.concat(frames) if frames else pl.DataFrame(schema={name: ROW_SCHEMA[name] for name in COLUMNS})
    return Contents(version, manifest["metrics"], verdict, rows)


def describe_versions(workspace: Workspace, expansion: str) -> list[dict[str, Any]]:
    """Name, commit, date and metrics of every version, newest first."""
    return [
        {**asdict(version), "metrics": read_metrics(workspace, version)}
        for version in list_versions(workspace, expansion)
    ]


def _read_sealed(open_file: Any, version: Version) -> dict[str, Any]:
    """The manifest of a version. DamagedData if it is not the published one."""
    with open_file(MANIFEST) as stream:
        content = stream.read()
    try:
        manifest: dict[str, Any] = json.loads(content)
    except ValueError:
        raise _describe_damage(version, MANIFEST) from None
    if is_sealed(manifest) and seal(manifest) != manifest:
        raise _describe_damage(version, MANIFEST)
    return manifest


def _read_whole(open_file: Any, version: Version, manifest: dict[str, Any], name: str) -> bytes:
    """A file of a version. DamagedData if its bytes do not match the manifest."""
    with open_file(name) as stream:
        content: bytes = stream.read()
    if hashlib.sha256(content).hexdigest() != manifest["files"][name]["sha256"]:
        raise _describe_damage(version, name)
    return content


def _describe_damage(version: Version, name: str) -> DamagedData:
    return DamagedData(
        f"published/{version.expansion}/{name} of version '{version.name}' is not what was published, where it lies in"
        f" DVC's cache or remote; check that version out and run: growset pull {version.expansion} --only published"
    )


@contextmanager
def _open_files(workspace: Workspace, version: Version) -> Iterator[Any]:
    """A function that opens a file of the published dataset, given its name, for reading."""
    folder = PurePosixPath("published") / version.expansion
    fault = f"version '{version.name}' is neither in DVC's cache nor in the remote"
    try:
        with open_revision(workspace.root, version.commit) as system:
            yield lambda name: system.open(str(folder / name), "rb")
    except (OSError, KeyError) as error:
        raise EnvironmentFault(
            f"{fault} ({type(error).__name__}); get it with: dvc fetch, in a clone that has it"
        ) from error


def _pointer(expansion: str) -> str:
    return f"published/{expansion}.dvc"


def _is_changed(workspace: Workspace, pointer: str) -> bool:
    return bool(run_git(workspace.root, "status", "--porcelain", "--", pointer).strip())
