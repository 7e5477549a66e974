"""Tell Dagster of outputs that it did not see being made: fetched by `growset pull` or `dvc pull`, checked out by DVC,
made in a history that is lost, or recorded under the keys of an older Growset.

Without it the UI shows them as never made, since an unchanged `growset run` starts no run. What is recorded comes from
the manifests: content, version and the contents of the inputs, so that staleness is as after a run.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg

from assets.looks import describe
from assets.outcome import describe_outcome
from assets.place import Place, read_place, source_key
from assets.published import VERSION as NAME
from assets.published import describe_publication, describe_version
from ops.chain.driver import FIRST
from ops.errors import DamagedData, GrowsetError
from ops.files.hashing import hash_json
from ops.files.manifests import MANIFEST, PUBLISHED, read_manifest
from ops.history.git import describe_head
from ops.recipe.stages import STAGES
from ops.stages.materialization import Outcome
from ops.workspaces.names import SOURCES
from ops.workspaces.workspace import Workspace
from pipelines.instance import is_history_inside
from pipelines.lost_runs import WAITING

ASSETS = (*STAGES, PUBLISHED)
CONTENT, VERSION, GIVEN = "dagster/data_version", "dagster/code_version", "dagster/data_version_is_user_provided"
INPUT, POINTER = "dagster/input_data_version", "dagster/input_event_pointer"  # each followed by the input's key
FOUND = "Found on disk: it was made or fetched outside of this history."


def record_outputs(workspace: Workspace, instance: dg.DagsterInstance) -> list[dg.AssetKey]:
    """Report each output of an active expansion whose content, version or inputs differ from Dagster's last record,
    and a published dataset that git has under another name since.

    Nothing is reported while a run is unfinished or waits: it reports its outputs itself. Returns the reported keys.
    """
    manifests = {name: _read_manifests(workspace, name) for name in workspace.expansions}
    if instance.get_runs_count(dg.RunsFilter(statuses=WAITING)):
        return []
    return [
        key
        for name, found in manifests.items()
        for key in _record_expansion(workspace, instance, read_place(workspace, name), found)
    ]


def forget_old_keys(workspace: Workspace, instance: dg.DagsterInstance) -> int:
    """Remove the assets of a Growset that had one asset per stage for all expansions; returns how many there were.

    Nothing is removed from a history outside the workspace: it may hold that of other workspaces too.
    """
    if not is_history_inside(workspace, instance):
        return 0
    old = [key for key in instance.get_asset_keys() if len(key.path) == 1 and key.path[0] in ASSETS]
    instance.wipe_assets(old)
    return len(old)


def _folder(workspace: Workspace, expansion: str, asset: str) -> Path:
    return workspace.published(expansion) if asset == PUBLISHED else workspace.output(expansion, asset)


def _read_manifests(workspace: Workspace, expansion: str) -> dict[str, dict[str, Any]]:
    """The manifests by asset, in the order of the chain, of outputs whose files are there with their sizes.

    No file is read, so that this takes milliseconds; `growset status` reports what is missing or damaged.
    """
    found = {}
    for asset in ASSETS:
        folder = _folder(workspace, expansion, asset)
        try:
            manifest = read_manifest(folder)
        except GrowsetError:
            continue
        sizes = {folder / name: entry["bytes"] for name, entry in manifest["files"].items()}
        if all(path.is_file() and path.stat().st_size == size for path, size in sizes.items()):
            found[asset] = manifest
    return found


def _record_expansion(
    workspace: Workspace, instance: dg.DagsterInstance, place: Place, manifests: Mapping[str, dict[str, Any]]
) -> Iterator[dg.AssetKey]:
    yield from _record_source(instance, place, manifests.get(FIRST))
    for asset, manifest in manifests.items():
        key = place.key(asset)
        tags = _describe_version(place, asset, manifest, manifests)
        known = _find_last(instance, key)
        same = known is not None and tags.items() <= _read_tags(known).items()
        if same and (asset != PUBLISHED or _names_version(known, workspace, place.expansion)):
            continue
        try:
            metadata = _describe(workspace, place, asset, manifest)
        except DamagedData:
            continue  # as in `_read_manifests`; a file has its size, but other content
        tags.setdefault(VERSION, manifest["fingerprint"][:16])  # Dagster takes the id of the run where there is none
        for dep in place.deps(asset):
            record = _find_last(instance, dep)
            tags[f"{POINTER}/{dep.to_user_string()}"] = str(record.storage_id) if record else "NULL"
        instance.report_runless_asset_event(dg.AssetMaterialization(key, FOUND, metadata, tags=tags))
        yield key


def _record_source(
    instance: dg.DagsterInstance, place: Place, manifest: Mapping[str, Any] | None
) -> Iterator[dg.AssetKey]:
    """Report the content hash of the source to Dagster if it has recorded none."""
    if manifest is None or place.recipe is None or manifest["settings"].get("source") != place.recipe.source:
        return
    key, content = source_key(place.recipe.source), manifest["inputs"].get("source", "")
    if content and _find_last(instance, key) is None:
        tags = {CONTENT: content[:32], GIVEN: "true", VERSION: content[:16]}
        instance.report_runless_asset_event(dg.AssetMaterialization(key, FOUND, tags=tags))
        yield key


def _find_last(instance: dg.DagsterInstance, key: dg.AssetKey) -> dg.EventLogRecord | None:
    records = instance.fetch_materializations(key, limit=1).records
    return records[0] if records else None


def _read_tags(record: dg.EventLogRecord) -> Mapping[str, str]:
    made = record.asset_materialization
    return {} if made is None else (made.tags or {})


def _names_version(record: dg.EventLogRecord | None, workspace: Workspace, expansion: str) -> bool:
    """Whether the record of a published dataset names its version in git: `growset commit` may have come later."""
    made = record.asset_materialization if record else None
    told = made.metadata.get(NAME) if made else None
    return told is not None and told.value == describe_version(workspace, expansion)[NAME]


def _describe_version(
    place: Place, asset: str, manifest: Mapping[str, Any], manifests: Mapping[str, Mapping[str, Any]]
) -> dict[str, str]:
    """The tags by which Dagster judges whether an asset is current.

    The published dataset has no version of its own, and depends on the report's success alone, not on its content.
    """
    tags = {CONTENT: manifest["content"][:32], GIVEN: "true"}
    if asset != PUBLISHED:
        tags[VERSION] = str(manifest["version"])
    for dep in place.deps(asset):
        name = "source" if dep.path[0] == SOURCES else dep.path[-1]
        content = manifest["inputs"].get(name) or manifests.get(name, {}).get("content")
        if content:
            tags[f"{INPUT}/{dep.to_user_string()}"] = content[:32]
    return tags


def _describe(workspace: Workspace, place: Place, asset: str, manifest: dict[str, Any]) -> dict[str, Any]:
    folder = _folder(workspace, place.expansion, asset)
    if asset == PUBLISHED:
        return describe_publication(workspace, place.expansion, manifest)
    outcome = Outcome(manifest, folder, 0.0, reused=True)
    return describe_outcome(outcome, place.expansion, describe(asset, place.recipe))


def build_recording_sensor(workspace: Workspace) -> dg.SensorDefinition:
    """A sensor for the UI: data that is pulled or checked out while it is open appears by itself."""

    @dg.sensor(
        name="record_outputs",
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Shows outputs that were pulled, checked out or made without Dagster.",
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        seen = hash_json([_list_manifests(workspace), describe_head(workspace.root)])
        if seen == context.cursor:
            return dg.SensorResult(skip_reason="no output has changed")
        if context.instance.get_runs_count(dg.RunsFilter(statuses=WAITING)):
            return dg.SensorResult(skip_reason="a run is unfinished; it reports its outputs itself")
        found = record_outputs(workspace, context.instance)
        told = ", ".join(key.to_user_string() for key in found)
        return dg.SensorResult(skip_reason=f"recorded: {told}" if found else "every output is known", cursor=seen)

    return sensor


def _list_manifests(workspace: Workspace) -> list[tuple[str, int]]:
    """Every manifest of an active expansion with the time at which it was written."""
    paths = [_folder(workspace, name, asset) / MANIFEST for name in workspace.expansions for asset in ASSETS]
    return [(str(path), path.stat().st_mtime_ns) for path in paths if path.exists()]
