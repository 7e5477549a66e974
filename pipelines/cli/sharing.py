"""The commands that move and check data: pull, push, verify, export."""

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import click
import polars as pl

from ops.errors import DamagedData, UserError
from ops.exports.published import Only
from ops.files.manifests import MANIFEST, read_manifest
from ops.files.outputs import HELD_OUT_SCORES
from ops.history.dvc_repository import address, stage_addresses
from ops.history.git import list_uncommitted
from ops.recipe.named_sources import list_named
from ops.remotes.transfer import default_remote, pull, push
from ops.stages.integrity import require_intact
from ops.workspaces.locks import exclusive_run
from ops.workspaces.workspace import Workspace

PULLS = {
    "real": ("real_images",),
    "accepted": ("generated_images", "accepted_images"),
    "mixed": ("real_images", "generated_images", "mixed_dataset"),
}


def pull_expansion(workspace: Workspace, expansion: str, only: str | None) -> None:
    """Fetch the outputs of an expansion, or one dataset, verify them and check them out."""
    from pipelines.cli.terminal import progress_sink

    workspace.load_recipe(expansion)
    pointer = workspace.pointer(expansion)
    if only == "published":
        targets = [str(pointer)]
    elif only:
        targets = [address(stage, expansion) for stage in PULLS[only]]
    else:
        targets = stage_addresses(expansion) + ([str(pointer)] if pointer.exists() else [])
    with exclusive_run(workspace, expansion), progress_sink() as sink:
        pull(workspace.root, targets, name=expansion, sink=sink)
    click.echo(f"{expansion}: {'everything' if only is None else only} is here")


def commit_expansion(workspace: Workspace, expansion: str) -> None:
    """Commit the publication of an expansion with all that a clone needs to pull it, and tag it."""
    from ops.chain.figures import write_figures
    from ops.chain.publishing import find_refusal, is_published
    from ops.chain.updating import find_pending
    from ops.history.committing import commit_publication

    recipe = workspace.load_recipe(expansion)
    with exclusive_run(workspace, expansion):
        if pending := find_pending(workspace, expansion, recipe):
            stages = ", ".join((*pending.stale, *pending.unrecorded))
            raise UserError(f"'{expansion}' is not current ({stages}); run: growset run {expansion}")
        if refusal := find_refusal(workspace, expansion):
            raise refusal
        if not is_published(workspace, expansion, recipe, committed=False):
            raise UserError(f"'{expansion}' is not published, or not completely; run: growset run {expansion}")
        write_figures(workspace, expansion)
        pointer = workspace.pointer(expansion)
        tag = commit_publication(workspace, expansion, pointer, for_clones=True)
    click.echo(f"{expansion}: " + (f"committed, {tag}" if tag else "nothing to commit"))
    if default_remote(workspace.root) is None:
        click.echo("without a DVC remote no clone can pull the data: dvc remote add --default NAME URL", err=True)
    if lacking := find_lacking(workspace, list_named(recipe).values()):
        click.echo(f"a clone needs {', '.join(lacking)} as well, and git does not have it as it is here", err=True)


def find_lacking(workspace: Workspace, sources: Iterable[str]) -> list[str]:
    """Files that a clone needs to pull and run an expansion, and that have changed since the last commit or are new.

    A publication does not commit them, because they concern other expansions too.
    """
    needed = (".dvc/config", "dvc.yaml", *(f"sources/{source}.yaml" for source in dict.fromkeys(sources)))
    new, changed = list_uncommitted(workspace.root)  # a new folder is one path, which ends with a slash
    return [name for name in needed if name in changed or name.startswith(tuple(new))]


def push_expansion(workspace: Workspace, expansion: str) -> None:
    """Send the objects that are missing or different in the remote, where every object is compared byte by byte."""
    from ops.chain.publishing import pushed_targets
    from pipelines.cli.terminal import progress_sink

    workspace.load_recipe(expansion)
    if default_remote(workspace.root) is None:
        raise UserError(f"{workspace.root} has no default DVC remote; name one with: dvc remote add --default NAME URL")
    if not workspace.pointer(expansion).exists():
        raise UserError(f"'{expansion}' is not published yet; run: growset run {expansion}")
    with progress_sink() as sink:
        sent = push(workspace.root, pushed_targets(workspace, expansion), every_byte=True, sink=sink)
    click.echo(f"{expansion}: {sent:,} object{'s' * (sent != 1)} sent; the remote has everything as it is here")


def verify_expansion(workspace: Workspace, expansion: str, *, remote: bool, workers: int | None, as_json: bool) -> None:
    """Print the faults of an expansion's data; raises DamagedData if there are any, EnvironmentFault if the remote
    cannot be reached."""
    from ops.verification.verification import verify
    from pipelines.cli.terminal import progress_sink

    workspace.load_recipe(expansion)
    with exclusive_run(workspace, expansion), progress_sink(to_stderr=True) as sink:
        found = verify(workspace, expansion, remote=remote, workers=workers, sink=sink)
    if as_json:
        findings = [asdict(finding) | {"where": str(finding.where)} for finding in found.findings]
        told = str(found.unreachable) if found.unreachable else None
        click.echo(json.dumps({"expansion": expansion, "findings": findings, **found.counts, "unreachable": told}))
    else:
        for finding in found.findings:
            click.echo(str(finding))
    if found.findings:
        count = len(found.findings)
        also = f"; {found.unreachable}" if found.unreachable else ""
        raise DamagedData(f"'{expansion}' has {count} finding{'s' * (count > 1)}{also}")
    if found.unreachable:
        raise found.unreachable
    if not as_json:
        told = ", ".join(f"{number:,} {name}" for name, number in found.counts.items())
        click.echo(f"{expansion}: everything is as it was made ({told})")


def export_expansion(
    workspace: Workspace, expansion: str, form: str, folder: Path, only: Only, *, as_json: bool = False
) -> None:
    """Write the published dataset in another layout and print what was written; the recipe may be inactive."""
    from ops.exports.exporting import export_dataset
    from pipelines.cli.terminal import progress_sink

    workspace.load_recipe(expansion, active=False)
    scores = _find_scores(workspace, expansion) if form == "fiftyone" else None
    with progress_sink(to_stderr=as_json) as sink:
        done = export_dataset(workspace.published(expansion), folder, form, only=only, scores=scores, sink=sink)
    if as_json:
        click.echo(json.dumps({"expansion": expansion, **asdict(done), "folder": str(done.folder)}))
        return
    for split, images in done.splits.items():
        click.echo(f"  {split:<12} {images:>9,} images")
    count = f"{done.files:,} file{'s' * (done.files != 1)}"
    click.echo(f"{expansion}: {form} in {done.folder}, {count}, {done.bytes / 1e6:,.1f} MB")


def _find_scores(workspace: Workspace, expansion: str) -> pl.DataFrame | None:
    """The scores of the published images; None, with a sentence, if the published dataset was filtered elsewhere."""
    from ops.datasets.index import read_index
    from ops.exports.fiftyone import collect_scores

    published, accepted = workspace.published(expansion), workspace.output(expansion, "accepted_images")
    if not (published / MANIFEST).is_file():
        return None  # the export says so
    if not (accepted / MANIFEST).is_file() or (
        read_manifest(accepted)["content"] != read_manifest(published)["inputs"].get("accepted_images")
    ):
        click.echo(
            "without scores: the filters' results that the published dataset was made from are not here", err=True
        )
        return None
    require_intact(workspace, expansion, ["accepted_images"])
    return collect_scores(read_index(accepted), pl.read_parquet(accepted / HELD_OUT_SCORES, glob=False))
