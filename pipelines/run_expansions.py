"""Which expansions a run is of. Those of a job bear their expansion as a tag; the UI starts selected assets through a
job of Dagster's own, and such a run is tagged only once it works (`pipelines.executor`)."""

from collections.abc import Set

import dagster as dg

from assets.place import EXPANSION
from ops.workspaces.names import SOURCES


def find_expansions(run: dg.DagsterRun) -> Set[str]:
    """The expansion in the run's tag; without it, those of the assets and checks that the run is to make."""
    if (tagged := run.tags.get(EXPANSION)) is not None:
        return {tagged}
    keys = [*(run.asset_selection or ()), *(check.asset_key for check in run.asset_check_selection or ())]
    return {key.path[0] for key in keys} - {SOURCES}
