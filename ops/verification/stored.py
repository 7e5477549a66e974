"""Check DVC's storage of an expansion: the objects in its cache and in its remote, each hashed again."""

from __future__ import annotations

from pathlib import Path

from ops.errors import DamagedData
from ops.history.dvc_repository import address, open_repo
from ops.machine.progress import Progress, Sink, ignore
from ops.recipe.stages import STAGES
from ops.remotes.objects import StoredObject, cache_path, find_damaged, find_missing, head_object, list_files
from ops.remotes.transfer import default_remote, find_faults, list_outs
from ops.verification.findings import Finding, Subject


def list_targets(subject: Subject) -> list[str]:
    """The expansion's targets in DVC: its stages and the pointer of its published dataset."""
    pointer = subject.workspace.pointer(subject.name)
    return [address(stage, subject.name) for stage in STAGES] + ([str(pointer)] if pointer.exists() else [])


def read_listed(subject: Subject) -> dict[Path, str]:
    """md5 of each file that DVC lists for the expansion; `check_cache` reports missing and damaged lists."""
    listed: dict[Path, str] = {}
    with open_repo(subject.workspace.root) as repo:
        for out in list_outs(repo, list_targets(subject)):
            try:
                listed |= {each.file: each.md5 for each in list_files(repo, out)}
            except (FileNotFoundError, DamagedData):
                continue
    return listed


def check_cache(subject: Subject, sink: Sink = ignore) -> list[Finding]:
    """Every object of the expansion's outputs is in the cache, with bytes that match its name."""
    findings = []
    with open_repo(subject.workspace.root) as repo:
        objects: list[StoredObject] = []
        outs = list_outs(repo, list_targets(subject))
        recorded = {Path(out.fs_path) for out in outs}
        for stage in subject.present:
            if (folder := subject.folder(stage)) not in recorded:
                what = "is not recorded by DVC, so it is neither in the cache nor in the remote"
                findings.append(Finding(folder, what, subject.remake))
        for out in outs:
            objects.append(head_object(out))
            try:
                objects += list_files(repo, out)
            except (FileNotFoundError, DamagedData):
                continue  # the list itself is reported below
        for each in find_missing(repo, objects):
            what = f"is missing; it is the cached content of {each.file}"
            findings.append(Finding(cache_path(repo, each.oid), what, subject.restore))
        progress = Progress(sink, "cache", len(objects), "objects")
        for each in find_damaged(repo, objects, progress.update):
            what = f"is damaged; it should be the content of {each.file}"
            findings.append(Finding(cache_path(repo, each.oid), what, subject.restore))
    return findings


def check_remote(subject: Subject, sink: Sink = ignore) -> list[Finding]:
    """Every object is in the default remote, with bytes that match its name; no findings without a remote or a push.

    EnvironmentFault if the remote cannot be reached.
    """
    root = subject.workspace.root
    remote = default_remote(root)
    if remote is None or not subject.workspace.pointer(subject.name).exists():
        return []
    faults = find_faults(root, list_targets(subject), every_byte=True, sink=sink)
    return [
        Finding(file, f"in the remote '{remote[0]}': {what}", f"growset push {subject.name}")
        for file, what in sorted(faults.items())
    ]
