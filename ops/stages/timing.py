"""Seconds that stages took in this workspace, those of interrupted calls included.

They stand beside the outputs, never in them, so that outputs stay repeatable. A killed process leaves no seconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ops.files.storage import read_json, write_json
from ops.workspaces.workspace import Workspace

SPENT = "seconds.json"  # in a staging folder: seconds of the calls that were interrupted


@contextmanager
def time_work(scratch: Path, clock: Callable[[], float] = time.monotonic) -> Iterator[Callable[[], float]]:
    """Gives what tells the seconds of all calls so far. They are kept in `scratch` if this call is interrupted."""
    path, started = scratch / SPENT, clock()
    before = read_json(path)["seconds"] if path.exists() else 0.0

    def count() -> float:
        return float(before + clock() - started)

    try:
        yield count
    except BaseException:
        with suppress(OSError):  # a full disk, which may be what stopped the work, must not hide why it stopped
            write_json(path, {"seconds": count()})
        raise


def record_seconds(workspace: Workspace, expansion: str, stage: str, seconds: float) -> None:
    """Replace what is known of this stage."""
    path = workspace.timings(expansion)
    timings = read_json(path) if path.exists() else {}
    write_json(path, {**timings, stage: round(seconds, 2)})
