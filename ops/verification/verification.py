"""Verify an expansion: run every check in turn and collect the findings."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path

from polars.exceptions import PolarsError

from ops.datasets.unlabelled import find_growing
from ops.errors import DamagedData, EnvironmentFault, UserError
from ops.files.manifests import PUBLISHED, read_manifest
from ops.machine.parallel import available_cores
from ops.machine.progress import Progress, Sink, ignore
from ops.sources.listing import SPLITS
from ops.verdict.evaluation_count import read_evaluations
from ops.verification import links, stored
from ops.verification.findings import Finding, Subject
from ops.verification.images import PLACES, examine_images
from ops.verification.outputs import UNRECORDED, check_bytes, check_links, count_files
from ops.workspaces.workspace import Workspace

CHECKS = {
    links.check_ids: "real_images",
    links.check_drawn: "real_images",
    links.check_accepted: "accepted_images",
    links.check_mixed: "mixed_dataset",
    links.check_published: PUBLISHED,
    links.check_verdict: "verdict",
}


@dataclass(frozen=True)
class Verification:
    """`counts`: the numbers of outputs, files and images checked. `unreachable`: why the remote was not checked."""

    findings: list[Finding]
    counts: dict[str, int]
    unreachable: EnvironmentFault | None = None


def verify(
    workspace: Workspace,
    name: str,
    *,
    remote: bool = True,
    workers: int | None = None,
    sink: Sink = ignore,
    report_every: float = 1.0,
) -> Verification:
    """Check every file, row, link, cached object and, with `remote`, every object in the DVC remote.

    Nothing is changed. UserError if no output of the expansion is present.
    """
    subject = Subject(workspace, name)
    if not subject.present:
        raise UserError(
            f"'{name}' has no outputs to verify; `growset run {name}` makes them, `growset pull {name}` fetches them"
        )

    def report(label: str, total: int, unit: str) -> Callable[[int], None]:
        progress = Progress(sink, label, total, unit, interval=report_every)
        progress.begin(0)
        return progress.update

    sink(f"verify: {len(subject.present)} outputs of '{name}'")
    listed = stored.read_listed(subject)
    findings = check_bytes(subject, listed, report("files", count_files(subject), "files"))
    subject = replace(subject, damaged=_find_damaged(subject, findings))
    found, images = check_meaning(
        subject, workers=workers or available_cores(), advance=report("images", _count_images(subject), "images")
    )
    unrecorded = [each.where for each in findings if each.what == UNRECORDED]
    findings += [_choose_repair(subject, each, unrecorded) for each in found]
    findings += check_looks(subject)
    findings += stored.check_cache(subject, sink)
    unreachable = None
    if remote:
        try:
            findings += stored.check_remote(subject, sink)
        except EnvironmentFault as error:
            unreachable = error
    counts = {
        "outputs": len(subject.present),
        "files": count_files(subject),
        "images": images,
    }
    return Verification(list(dict.fromkeys(findings)), counts, unreachable)


def check_meaning(
    subject: Subject, *, workers: int, advance: Callable[[int], None] = lambda images: None
) -> tuple[list[Finding], int]:
    """Findings on the content of the outputs and the links between them, and the number of images decoded."""
    examined, findings = examine_images(subject, workers=workers, advance=advance)
    findings += check_links(subject)
    for check, stage in CHECKS.items():
        try:
            findings += check(subject, examined)
        except (DamagedData, UserError, ValueError, KeyError, OSError, PolarsError) as error:
            findings.append(Finding(subject.folder(stage), f"cannot be read: {error}", subject.restore))
    return findings, sum(len(found.rows) for found in examined.values())


def check_looks(subject: Subject) -> list[Finding]:
    """The log of looks at test images is intact."""
    try:
        read_evaluations(subject.workspace)
    except DamagedData as error:
        path, copy = subject.workspace.evaluations, subject.workspace.known_evaluations
        what = str(error).removeprefix(str(path)).lstrip(",: ")
        return [Finding(path, what, f"git checkout {path.name}, or: cp {copy} {path}")]
    return []


def _find_damaged(subject: Subject, findings: list[Finding]) -> frozenset[str]:
    """Outputs whose files differ from their manifests; those that only differ from DVC's record can still be read."""
    places = [each.where for each in findings if each.what != UNRECORDED]
    return frozenset(
        stage for stage in subject.present for place in places if place.is_relative_to(subject.folder(stage))
    )


def _choose_repair(subject: Subject, finding: Finding, unrecorded: Collection[Path]) -> Finding:
    """If a wrong output's bytes match DVC's record, a pull would restore the same bytes: it must be rebuilt."""
    if finding.repair != subject.restore:
        return finding
    for stage in subject.present:
        folder = subject.folder(stage)
        if finding.where.is_relative_to(folder):
            restores = stage in subject.damaged or any(path.is_relative_to(folder) for path in unrecorded)
            return finding if restores else replace(finding, repair=subject.rebuild(stage))
    return finding


def _count_images(subject: Subject) -> int:
    """The number of images in the manifests, for progress lines."""
    folders = {stage: find_growing(subject.folder(stage)) for stage in PLACES if subject.has(stage)}
    counts = {stage: read_manifest(folder)["metrics"] for stage, folder in folders.items()}
    return sum(metrics.get(name, 0) for metrics in counts.values() for name in (*SPLITS, "images"))
