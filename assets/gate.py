"""The verdict with which a run publishes: a run that started by itself bears it as a tag, one that you start none.

Dagster copies the tags of a run to those that execute it again, whoever starts them, so the tag alone does not tell.
"""

import dagster as dg
from dagster._core.storage.tags import PARENT_RUN_ID_TAG, RETRY_NUMBER_TAG

from assets.place import PUBLISH


def find_gate(run: dg.DagsterRun, instance: dg.DagsterInstance) -> str | None:
    """What `automation.publish` asks of a run's verdict; None for a run that somebody started.

    That includes *Re-execute* in the UI. Dagster numbers its own second tries after a crash; they are what the run
    that crashed was.
    """
    each: dg.DagsterRun | None = run
    while each is not None and (parent := each.tags.get(PARENT_RUN_ID_TAG)):
        if RETRY_NUMBER_TAG not in each.tags:
            return None
        each = instance.get_run_by_id(parent)
    return run.tags.get(PUBLISH)
