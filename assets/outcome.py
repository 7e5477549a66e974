"""Turn an `Outcome` into Dagster metadata: numbers to plot over time, pictures, and the content's version."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dagster as dg
from dagster._core.errors import DagsterExecutionInterruptedError

from assets.addresses import HASH, link_report, list_pictures, name_picture, show_picture
from assets.figures import describe_figures
from assets.looks import Look
from ops.errors import EnvironmentFault, GrowsetError, clean, find_fault, raise_clean
from ops.machine.peak_memory import Peaks
from ops.stages.materialization import Outcome


class StepInterrupted(dg.DagsterError, DagsterExecutionInterruptedError):
    """The user has stopped the run. Dagster tries a step with a policy again after its own exception (#15026)."""


@contextmanager
def growset_errors(*, retry: bool = False) -> Iterator[None]:
    """Growset's errors and errors of the machine fail a step at once, with their message.

    Dagster stores an error with all its causes, which libraries raise: none of them shows a secret.
    `retry` lets a step's policy try again where the machine, not the user or the data, is the cause.
    """
    try:
        yield
    except DagsterExecutionInterruptedError as stop:
        raise StepInterrupted(str(stop)) from stop
    except Exception as error:
        stopped = error if isinstance(error, GrowsetError) else find_fault(error)
        if stopped is None:
            raise_clean(error)
        helps = retry and isinstance(stopped, EnvironmentFault)
        raise dg.Failure(description=str(stopped), allow_retries=helps) from clean(stopped)


def describe_memory(peaks: Peaks) -> dict[str, float]:
    """Metadata of a step's memory in MB, as far as the machine tells it."""
    known = {"peak_memory_mb": peaks.process, "workers_memory_mb": peaks.workers}
    return {name: round(size / 1e6, 1) for name, size in known.items() if size is not None}


def describe_outcome(outcome: Outcome, expansion: str, look: Look) -> dict[str, Any]:
    """Metadata of a stage's materialization, pictures first: Dagster shows it in this order."""
    manifest, stage = outcome.manifest, outcome.manifest["stage"]
    metadata: dict[str, Any] = {
        name_picture(name): show_picture(expansion, stage, manifest["content"], name)
        for name in list_pictures(manifest["files"], look.pictures)
    }
    if look.report:
        metadata["report"] = link_report(expansion)
    metadata |= {
        **describe_figures(stage, manifest["metrics"], outcome.folder),
        "fingerprint": manifest["fingerprint"][:16],
        "bytes": sum(entry["bytes"] for entry in manifest["files"].values()),
        "reused": outcome.reused,
        "folder": dg.MetadataValue.path(str(outcome.folder)),
    }
    if not outcome.reused:
        metadata["seconds"] = round(outcome.seconds, 2)
    if outcome.reused_from:
        metadata["reused_from"] = dg.MetadataValue.asset(dg.AssetKey([outcome.reused_from, stage]))
    return metadata


def data_version(outcome: Outcome) -> dg.DataVersion:
    """The content hash: equal bytes have equal versions, wherever they were made."""
    return dg.DataVersion(outcome.manifest["content"][:HASH])
