"""`published_dataset`: a self-contained dataset, tracked, pushed and verified once all blocking checks have passed."""

import shlex
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

import dagster as dg

from assets.changes import describe_change, read_earlier
from assets.figures import describe_figures
from assets.gate import find_gate
from assets.outcome import describe_memory, growset_errors
from assets.place import Place
from assets.retries import find_policy
from ops.chain.driver import Chain
from ops.errors import EnvironmentFault
from ops.files.manifests import PUBLISHED
from ops.history.git import find_page, find_top
from ops.machine.peak_memory import watch_memory
from ops.workspaces.workspace import Workspace

CONTENT = "Hugging Face Parquet dataset with card and verdict, under its own DVC pointer; pushed if there is a remote."
VERSION = "version"  # the metadata's key for its name in git
TAG = "tag"  # the metadata's key for a tag that this run has set


def build_published_dataset(place: Place) -> dg.AssetsDefinition:
    """The last asset. It depends on every checked stage, so a failed blocking check prevents it from running.

    A run that started by itself publishes only if its verdict passes the recipe's gate; else this step is skipped.
    """

    @dg.asset(
        key=place.key(PUBLISHED),
        deps=place.deps(PUBLISHED),
        description=place.describe(f"{CONTENT} {_describe_commit(place)}"),
        group_name=place.group,
        kinds={"parquet", "dvc", "huggingface"},
        tags=place.tags(PUBLISHED),
        owners=list(place.owners),
        metadata=place.metadata(PUBLISHED),
        pool=place.pool(PUBLISHED),
        output_required=False,
        retry_policy=find_policy(place.retries),
    )
    def published_dataset(
        context: dg.AssetExecutionContext, chain: dg.ResourceParam[Chain]
    ) -> Iterator[dg.MaterializeResult]:
        from ops.chain.outdated import find_refusal
        from ops.chain.publishing import publish

        asked = find_gate(context.run, context.instance)
        with growset_errors():
            why = None if asked is None else find_refusal(chain.workspace, place.expansion, asked)
        if why is not None:
            context.log.info(f"nothing is published: {why}")
            return
        with growset_errors(retry=place.retries), watch_memory() as peaks:
            earlier = read_earlier(chain.workspace, place.expansion)
            done = publish(chain.workspace, place.expansion)
        metadata = {
            **describe_publication(chain.workspace, place.expansion, done.manifest, reused=done.reused),
            **describe_memory(peaks),
            "remote": done.remote or "none: add one with `dvc remote add --default NAME URL`, then run this again",
            "objects_sent": done.objects_sent,
        }
        if done.tag:
            metadata[TAG] = done.tag
        if not done.reused:
            metadata |= describe_change(chain.workspace, place.expansion, earlier)
        yield dg.MaterializeResult(metadata=metadata, data_version=dg.DataVersion(done.manifest["content"][:32]))

    return published_dataset


def describe_publication(
    workspace: Workspace, expansion: str, manifest: Mapping[str, Any], *, reused: bool = True
) -> dict[str, Any]:
    """Metadata of a published dataset: its version in git, and what its manifest tells."""
    folder = workspace.published(expansion)
    return {
        **describe_version(workspace, expansion),
        **describe_figures(PUBLISHED, manifest["metrics"], folder),
        "reused": reused,
        "folder": dg.MetadataValue.path(str(folder)),
    }


def describe_version(workspace: Workspace, expansion: str) -> dict[str, Any]:
    """Its tag or commit, and its pointer there on GitHub or GitLab; from elsewhere, the command that fetches it."""
    from ops.history.versions import list_versions

    try:
        version = next(iter(list_versions(workspace, expansion)), None)
    except EnvironmentFault:
        version = None  # no repository, or no commit yet
    if version is None or version.commit is None:
        return {VERSION: f"not committed to git; this gives it a tag: growset commit {expansion}"}
    if page := find_page(workspace.root, version.name):
        return {VERSION: version.name, "dvc_version": dg.MetadataValue.url(f"{page}/published/{expansion}.dvc")}
    to = f"{expansion}-{PurePosixPath(version.name).name}"
    top, way = find_top(workspace.root)
    command = ["dvc", "get", top, f"{way}published/{expansion}", "--rev", version.name, "--out", to]
    return {VERSION: version.name, "dvc_version": dg.MetadataValue.md(f"`{shlex.join(command)}`")}


def _describe_commit(place: Place) -> str:
    if place.recipe is not None and place.recipe.publish.commit:
        return f"It is committed to git and tagged `{place.expansion}/vN` once it is pushed."
    return "It is not committed to git (`publish.commit` is off)."
