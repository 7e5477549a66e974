"""`published_dataset`: a self-contained dataset, tracked, pushed and verified once all blocking checks have passed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg

from assets.figures import describe_figures
from assets.outcome import describe_memory, growset_errors
from assets.place import Place
from assets.retries import find_policy
from ops.chain.driver import Chain
from ops.files.manifests import PUBLISHED
from ops.machine.peak_memory import watch_memory

CONTENT = "Hugging Face Parquet dataset with card and verdict, under its own DVC pointer; pushed if there is a remote."


def build_published_dataset(place: Place) -> dg.AssetsDefinition:
    """The last asset. It depends on every checked stage, so a failed blocking check prevents it from running."""

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
        retry_policy=find_policy(place.retries),
    )
    def published_dataset(context: dg.AssetExecutionContext, chain: dg.ResourceParam[Chain]) -> dg.MaterializeResult:
        from ops.chain.publishing import publish

        with growset_errors(retry=place.retries), watch_memory() as peaks:
            done = publish(chain.workspace, place.expansion)
        metadata = {
            **describe_publication(done.manifest, done.folder, reused=done.reused),
            **describe_memory(peaks),
            "remote": done.remote or "none: add one with `dvc remote add --default NAME URL`, then run this again",
            "objects_sent": done.objects_sent,
        }
        if done.tag:
            metadata["tag"] = done.tag
        return dg.MaterializeResult(metadata=metadata, data_version=dg.DataVersion(done.manifest["content"][:32]))

    return published_dataset


def describe_publication(manifest: Mapping[str, Any], folder: Path, *, reused: bool = True) -> dict[str, Any]:
    """Metadata of a published dataset, as far as its manifest tells it."""
    return {
        **describe_figures(PUBLISHED, manifest["metrics"], folder),
        "reused": reused,
        "folder": dg.MetadataValue.path(str(folder)),
    }


def _describe_commit(place: Place) -> str:
    if place.recipe is not None and place.recipe.publish.commit:
        return f"It is committed to git and tagged `{place.expansion}/vN` once it is pushed."
    return "It is not committed to git (`publish.commit` is off)."
