"""Turn an `Outcome` into Dagster metadata: numbers to plot over time, pictures, and the content's version."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.errors import DagsterExecutionInterruptedError

from assets.figures import describe_figures
from ops.errors import EnvironmentFault, GrowsetError, clean, find_fault, raise_clean
from ops.machine.peak_memory import Peaks
from ops.pictures.sheets import to_data_uri
from ops.stages.materialization import Outcome
from ops.stages.several import count_generators, place

PICTURE_LIMIT = 400_000  # bytes; larger pictures would bloat the event log, which is a database


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


def describe_outcome(outcome: Outcome, pictures: tuple[str, ...] = (), pages: tuple[str, ...] = ()) -> dict[str, Any]:
    """Metadata of a stage's materialization. `pages` appear as paths: browsers do not open files from an http page."""
    manifest = outcome.manifest
    metadata = {
        **describe_figures(manifest["stage"], manifest["metrics"], outcome.folder),
        "fingerprint": manifest["fingerprint"][:16],
        "bytes": sum(entry["bytes"] for entry in manifest["files"].values()),
        "reused": outcome.reused,
        "folder": dg.MetadataValue.path(str(outcome.folder)),
    }
    if not outcome.reused:
        metadata["seconds"] = round(outcome.seconds, 2)
    if outcome.reused_from:
        metadata["reused_from"] = dg.MetadataValue.asset(dg.AssetKey([outcome.reused_from, manifest["stage"]]))
    for page in pages:
        metadata[Path(page).stem] = dg.MetadataValue.path(str(outcome.folder / page))
    for generator in range(count_generators(outcome.folder)):
        for pattern in pictures:
            for path in sorted(place(outcome.folder, generator).glob(pattern)):
                metadata[f"{path.stem}_generator_{generator}" if generator else path.stem] = show_picture(path)
    return metadata


def show_picture(path: Path) -> dg.MetadataValue:
    """A PNG embedded in Markdown, or its path if it is too large for the event log."""
    if path.stat().st_size > PICTURE_LIMIT:
        return dg.MetadataValue.path(str(path))
    return dg.MetadataValue.md(f"![{path.stem}]({to_data_uri(path.read_bytes())})")


def data_version(outcome: Outcome) -> dg.DataVersion:
    """The content hash: equal bytes have equal versions, wherever they were made."""
    return dg.DataVersion(outcome.manifest["content"][:32])
