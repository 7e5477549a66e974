"""The asset of a source: the user's images as they are, shared by all expansions that grow them.

It fetches a remote source and hashes it, and stores nothing. Its version is the content's hash, so an expansion whose
images have changed since it was made is stale before anything runs.
"""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from assets.outcome import describe_memory, growset_errors
from assets.place import Place, name_source, source_key
from assets.retries import find_policy
from ops.chain.driver import Chain
from ops.machine.peak_memory import watch_memory
from ops.workspaces.names import SOURCES


def build_source(source: str, places: Sequence[Place]) -> dg.AssetsDefinition:
    """The asset of a source; `places` are the expansions that use it."""
    used = ", ".join(place.expansion for place in places)
    retries = all(place.retries for place in places)

    @dg.asset(
        key=source_key(source),
        description=f"Your images as `sources/{source}.yaml` describes them, used by {used}. They are read and hashed,"
        " and never changed.",
        group_name=SOURCES,
        tags={"source": source},
        owners=list(places[0].owners),
        metadata=places[0].metadata(name_source(source)),
        pool=places[0].pool(SOURCES),
        retry_policy=find_policy(retries),
    )
    def read_source(context: dg.AssetExecutionContext, chain: dg.ResourceParam[Chain]) -> dg.MaterializeResult:
        from ops.chain.real_images import survey_source

        with growset_errors(retry=retries), watch_memory() as peaks:
            found = survey_source(chain.workspace, source)
        metadata: dict[str, Any] = {
            "files": found.files,
            "bytes": found.bytes,
            "kind": found.kind,
            "licence": found.licence,
            "place": dg.MetadataValue.path(found.place),
            **describe_memory(peaks),
        }
        return dg.MaterializeResult(metadata=metadata, data_version=dg.DataVersion(found.content[:32]))

    return read_source
