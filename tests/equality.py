"""What a workspace that was killed and resumed must share with one that nobody killed, row by row."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
from ruamel.yaml import YAML

from ops.files.hashing import hash_file
from ops.files.manifests import MANIFEST, read_manifest
from ops.files.storage import read_json
from ops.history.dvc_repository import changed_stages, stage_addresses
from ops.recipe.stages import STAGES
from ops.remotes.transfer import find_faults
from ops.verdict.evaluation_log import read_log
from ops.verification.verification import verify
from ops.workspaces.workspace import Workspace
from tests.workspaces import run

TIMED = {"report"}  # shows how long the stages took and how often test images were looked at


def find_differences(reference: Path, root: Path, expansion: str, kills: int) -> list[str]:
    """Sentences on everything that is lost, doubled, different or left over; empty if all is well."""
    return [
        *_compare_outputs(Workspace(reference), Workspace(root), expansion),
        *_find_leftovers(root),
        *_check_evaluations(Workspace(root), expansion, kills),
        *_check_dvc(root, expansion),
        *map(str, verify(Workspace(root), expansion, workers=1).findings),
    ]


def _compare_outputs(reference: Workspace, workspace: Workspace, expansion: str) -> Iterator[str]:
    folders = [(stage, reference.output(expansion, stage), workspace.output(expansion, stage)) for stage in STAGES]
    folders.append(("published", reference.published(expansion), workspace.published(expansion)))
    for name, expected, found in folders:
        if not (found / MANIFEST).exists():
            yield f"{name}: there is no manifest"
            continue
        yield from _check_files(name, found)
        manifests = [_stable(name, read_manifest(folder)) for folder in (expected, found)]
        yield from (
            f"{name}: {key} is {manifests[1].get(key)!r}, not {value!r}"
            for key, value in manifests[0].items()
            if manifests[1].get(key) != value
        )
        yield from _compare_tables(name, expected, found)


def _stable(name: str, manifest: dict[str, Any]) -> dict[str, Any]:
    """The manifest without what a second unkilled run would not repeat either."""
    if name in TIMED:
        return {key: manifest[key] for key in ("stage", "version", "fingerprint", "settings", "inputs")}
    if name == "verdict":  # its metrics tell which record of the log it is, and how many there were
        return manifest | {"seal": None, "metrics": {**manifest["metrics"], "looks": None, "log_head": None}}
    return manifest


def _check_files(name: str, folder: Path) -> Iterator[str]:
    """The files are those of the manifest and hold what it says."""
    listed = {entry: facts["sha256"] for entry, facts in read_manifest(folder)["files"].items()}
    there = {
        path.relative_to(folder).as_posix(): hash_file(path)
        for path in folder.rglob("*")
        if path.is_file() and path.name != MANIFEST
    }
    if there != listed:
        yield f"{name}: the files are not the manifest's: {sorted(set(there.items()) ^ set(listed.items()))}"


def _compare_tables(name: str, expected: Path, found: Path) -> Iterator[str]:
    for path in sorted(expected.rglob("*.parquet")):
        relative = path.relative_to(expected)
        if not (found / relative).exists():
            yield f"{name}: {relative} is missing"
        elif not pl.read_parquet(path).equals(pl.read_parquet(found / relative), null_equal=True):
            yield f"{name}: the rows of {relative} differ"


def _find_leftovers(root: Path) -> Iterator[str]:
    staging = root / ".growset" / "staging"
    yield from (f"left in staging: {path.name}" for path in staging.glob("*"))
    for folder in (root, root / "data", root / "published", root / "recipes"):
        for path in folder.rglob(".*"):
            if path.name.endswith((".tmp", ".old")) and ".dvc" not in path.parts and ".growset" not in path.parts:
                yield f"left over: {path.relative_to(root)}"


def _check_evaluations(workspace: Workspace, expansion: str, kills: int) -> Iterator[str]:
    """An evaluation is logged before it is made: each kill may add one that came to nothing, and none may lack."""
    count = sum(record["expansion"] == expansion for record in read_log(workspace.evaluations))
    if not 1 <= count <= 1 + kills:
        yield f"{count} evaluations are logged after {kills} kills"


def _check_dvc(root: Path, expansion: str) -> Iterator[str]:
    pointer = str(Workspace(root).published(expansion).with_suffix(".dvc"))
    targets = [*stage_addresses(expansion), pointer]
    if changed := changed_stages(root, targets):
        yield f"dvc status: {changed}"
    if missing := find_faults(root, targets):
        yield f"the remote lacks {missing}"
    lock = YAML(typ="safe").load((root / "dvc.lock").read_text())
    if set(lock["stages"]) != set(stage_addresses(expansion)):
        yield f"dvc.lock holds {sorted(lock['stages'])}"
    note = root / ".growset" / "pushed" / f"{expansion}.json"
    if not note.exists() or read_json(note)[2] != read_manifest(Workspace(root).published(expansion))["fingerprint"]:
        yield "the published dataset is not noted as pushed"


def find_git_differences(root: Path, expansion: str, commits: int) -> list[str]:
    """The publication is one commit with one tag on top of `commits`, and git has nothing half done."""
    tag = f"{expansion}/v1"
    found = {
        "tags": run(root, "git", "tag").stdout.split(),
        "subject": run(root, "git", "log", "-1", "--format=%s", tag).stdout.strip(),
        "commits": int(run(root, "git", "rev-list", "--count", "HEAD").stdout),
        "tagged": run(root, "git", "rev-parse", tag).stdout == run(root, "git", "rev-parse", "HEAD").stdout,
        "staged": run(root, "git", "diff", "--cached", "--name-only").stdout.split(),
        "changed": run(root, "git", "status", "--porcelain").stdout.split(),
        "locks": [path.name for path in (root / ".git").rglob("*.lock")],
    }
    expected = {
        "tags": [tag],
        "subject": f"Publish {tag}",
        "commits": commits + 1,
        "tagged": True,
        "staged": [],
        "changed": ["??", "evaluations.jsonl"],
        "locks": [],
    }
    return [f"git: {key} is {found[key]!r}, not {value!r}" for key, value in expected.items() if found[key] != value]
