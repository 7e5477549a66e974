"""Locks between processes. The kernel frees them when their holder ends, so a `kill -9` leaves none behind.

A lock is an flock on a file under .growset/locks. The files stay; their existence means nothing.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ops.errors import EnvironmentFault
from ops.machine.waiting import Waiting
from ops.recipe.stages import STAGES
from ops.workspaces.workspace import Workspace

ATTEMPTS = 5  # tries to get a lock before it counts as held
RUN = "run"  # used like a stage's name: the whole expansion
UI = "ui"


@contextmanager
def exclusive(workspace: Workspace, expansion: str, stage: str) -> Iterator[None]:
    """Wait for another process that runs the same stage; afterwards there may be nothing left to do."""
    with _open(workspace, f"{expansion}.{stage}") as file:
        _lock(file, f"stage {stage} of '{expansion}'")
        yield


@contextmanager
def exclusive_run(workspace: Workspace, expansion: str) -> Iterator[None]:
    """Refuse a second run of a whole expansion: each run could hold the stage that the other needs next."""
    with _refuse_second(workspace, f"{expansion}.{RUN}", f"'{expansion}'"):
        yield


@contextmanager
def exclusive_study(workspace: Workspace, name: str) -> Iterator[None]:
    """Refuse a second run of a study: both would train the same networks."""
    with _refuse_second(workspace, f"study.{name}", f"the study '{name}'"):
        yield


@contextmanager
def exclusive_ui(workspace: Workspace, address: str) -> Iterator[None]:
    """Refuse a second UI: its daemon would start again what the first one's starts. The lock's file holds the address
    of the first one, for the sentence that names it."""
    with _open(workspace, UI, "a+") as file:
        if not _try_lock(file):
            file.seek(0)
            where = f" on {found}" if (found := file.read()) else ""
            raise EnvironmentFault(f"the UI of this workspace runs already{where}; open it, or stop it")
        file.truncate(0)
        file.write(address)
        file.flush()
        yield


@contextmanager
def _refuse_second(workspace: Workspace, lock: str, what: str) -> Iterator[None]:
    with _open(workspace, lock) as file:
        if not _try_lock(file):
            raise EnvironmentFault(f"{what} is being run by another process; wait for it or stop it")
        yield


def is_running(workspace: Workspace, expansion: str, stage: str) -> bool:
    """Whether a process holds `exclusive` of this stage now."""
    return _is_held(workspace, f"{expansion}.{stage}")


def require_no_stage(workspace: Workspace, expansions: Iterable[str]) -> None:
    """EnvironmentFault if a process runs a stage of one of them, for the UI or `growset materialize`, say."""
    for expansion in expansions:
        if running := next((stage for stage in STAGES if is_running(workspace, expansion, stage)), None):
            raise EnvironmentFault(
                f"stage {running} of '{expansion}' is being run by another process; wait for it or stop it"
            )


@contextmanager
def one_builder(workspace: Workspace, fingerprint: str) -> Iterator[None]:
    """Wait for another expansion that builds the same output: its result will be used."""
    with _open(workspace, fingerprint) as file:
        _lock(file, "an output that another expansion needs too")
        yield


@contextmanager
def one_pruner(workspace: Workspace) -> Iterator[None]:
    """Wait for another expansion that deletes old runs from the shared history."""
    with _open(workspace, "history") as file:
        _lock(file, "Dagster's history")
        yield


@contextmanager
def one_committer(workspace: Workspace) -> Iterator[None]:
    """Wait for another expansion that is being committed: both would move the same branch."""
    with _open(workspace, "commit") as file:
        _lock(file, "the git repository")
        yield


@contextmanager
def mark_alive(workspace: Workspace, name: str) -> Iterator[None]:
    """Make `is_alive(name)` true until the block or this process ends; after a kill `was_killed(name)` is true."""
    path, new = _path(workspace, name), f"{name}.{os.getpid()}.new"
    with _open(workspace, new) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        _path(workspace, new).replace(path)  # it appears with its lock held
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def is_alive(workspace: Workspace, name: str) -> bool:
    """Whether a process is inside `mark_alive` of this name."""
    return _find_mark(workspace, name) is True


def was_killed(workspace: Workspace, name: str) -> bool:
    """Whether a process ended inside `mark_alive` of this name without leaving it."""
    return _find_mark(workspace, name) is False


def _find_mark(workspace: Workspace, name: str) -> bool | None:
    """True if the mark is there and held, False if it was left behind, None if there is none."""
    try:
        with _path(workspace, name).open("r") as file:
            if not _try_lock(file):
                return True
            return False if os.fstat(file.fileno()).st_nlink else None  # removed meanwhile
    except FileNotFoundError:
        return None


def _lock(file: IO[str], what: str) -> None:
    """Wait while another process holds the lock, and print that."""
    waiting = Waiting()
    while not _try_lock(file):
        waiting.say(f"{what}: another process is at it")


def _is_held(workspace: Workspace, name: str) -> bool:
    with _open(workspace, name) as file:
        return not _try_lock(file)


def _try_lock(file: IO[str]) -> bool:
    """Try several times, because `is_running` holds a lock for an instant to find out whether it is free."""
    for attempt in range(ATTEMPTS):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            time.sleep(0.05 * (attempt + 1 < ATTEMPTS))
    return False


def _path(workspace: Workspace, name: str) -> Path:
    return workspace.area / ".growset" / "locks" / name


@contextmanager
def _open(workspace: Workspace, name: str, mode: str = "w") -> Iterator[IO[str]]:
    path = _path(workspace, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open(mode) as file:
        yield file
