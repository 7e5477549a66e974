"""The DVC repository of a workspace: state, commit, add. Only this and the package `ops.remotes` know DVC.

One writer at a time: every call waits for the repository's lock, and for a DVC command that is at work on the same
outputs. Paths given to DVC are absolute, because it resolves relative ones against the process's folder.
"""

from __future__ import annotations

import contextlib
import functools
import io
import logging
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from ruamel.yaml import YAML

from ops.errors import DamagedData, EnvironmentFault, UserError
from ops.files.storage import read_json, replace_file, write_bytes, write_json
from ops.machine.interruption import shielded
from ops.machine.waiting import Waiting
from ops.recipe.stages import STAGES

if TYPE_CHECKING:
    from dvc.repo import Repo
    from fsspec import AbstractFileSystem


LOCK = "dvc.lock"
CLOCKS_DIFFER = 2.0  # seconds by which a process's start and a file's time may be off
PAUSE = 0.3  # seconds between two attempts to get DVC's locks
Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")


class Busy(EnvironmentFault):
    """Another process holds a lock of DVC's."""


def address(stage: str, expansion: str) -> str:
    """The stage's name in dvc.yaml's matrix."""
    return f"{stage}@{expansion}"


def stage_addresses(expansion: str) -> list[str]:
    """All stages of an expansion."""
    return [address(stage, expansion) for stage in STAGES]


def absolute(root: Path, targets: Iterable[str]) -> list[str]:
    """Targets as DVC finds them from any folder: it takes a bare stage name to be of ./dvc.yaml."""
    return [f"{root / 'dvc.yaml'}:{target}" if "@" in target else target for target in targets]


def running_under_dvc() -> bool:
    """Whether this process is a DVC stage's command: DVC commits the stage then, and we must not."""
    return "DVC_STAGE" in os.environ


def patiently(call: Callable[Arguments, Answer]) -> Callable[Arguments, Answer]:
    """Call again, from its beginning, what finds DVC busy. DVC itself waits three seconds for its lock, and not at all
    for a command that is at work on an output (a stage of `dvc repro`, which may take hours)."""

    @functools.wraps(call)
    def wait_and_call(*arguments: Arguments.args, **options: Arguments.kwargs) -> Answer:
        waiting = Waiting()
        while True:
            try:
                return call(*arguments, **options)
            except Busy as busy:
                waiting.say(str(busy))
                time.sleep(PAUSE)

    return wait_and_call


@contextlib.contextmanager
def open_repo(root: Path) -> Iterator[Repo]:
    """The workspace's DVC repository; UserError if it is none, Busy if another process keeps us from it.

    DVC's hints about git are not printed. If a signal stops the block, DVC's own files are repaired before it ends.
    """
    from dvc.exceptions import NotDvcRepoError
    from dvc.lock import LockError
    from dvc.repo import Repo

    logging.getLogger("dvc").setLevel(logging.ERROR)
    try:
        repo = Repo(str(root))
    except NotDvcRepoError:
        raise UserError(f"{root} is not a DVC repository; run `dvc init` there") from None
    with contextlib.redirect_stdout(io.StringIO()), repo:
        try:
            with repo.lock:
                mend(root)
            yield repo
        except LockError as error:
            raise Busy(_describe_busy(root, str(error))) from None
        except BaseException as error:
            if not isinstance(error, Exception):  # stopped by a signal
                with shielded(), contextlib.suppress(LockError), repo.lock:
                    mend(root)
            raise


def _describe_busy(root: Path, told: str) -> str:
    """DVC's many lines as one sentence."""
    path = re.match(r"'(.*)' is busy", told)
    blocker = re.search(r"\(PID (\d+)\): (.*)", told)
    if path is None or blocker is None:
        return f"the DVC repository {root}: another process is at it"
    number, command = blocker.groups()
    return f"{path[1]}: another process is at it ({number}: {command})"


def remember_lock(root: Path) -> None:
    """Copy dvc.lock aside, unless it is torn; `mend` puts the copy back when a later one is."""
    lock, copy = root / LOCK, root / ".growset" / LOCK
    content = _read(lock)
    if content and content.endswith(b"\n") and content != _read(copy):
        write_bytes(copy, content)


def mend(root: Path) -> None:
    """Put right what a DVC process left torn when it was killed: it writes dvc.lock and its rwlock in place.

    Torn is a dvc.lock whose last line has no end. What was lost with it is at most the entry of one stage, whose
    output is there. DVC's lock must be held, so that nobody is writing now.
    """
    lock, rwlock = root / LOCK, root / ".dvc" / "tmp" / "rwlock"
    remember_lock(root)
    content, kept = _read(lock), _read(root / ".growset" / LOCK)
    if content is not None and not content.endswith(b"\n"):
        if kept is not None:
            write_bytes(lock, kept)
        elif not content:
            lock.unlink()  # DVC had opened its first one and not yet written it
        else:
            raise DamagedData(f"{lock} is torn, its end is missing; get the committed one with: git checkout {LOCK}")
    if rwlock.exists():
        _forget_the_dead(rwlock)


def _forget_the_dead(rwlock: Path) -> None:
    """Drop entries of processes that are gone, or the file if it is torn.

    DVC does the first itself, but takes any process that has got the number since for the one that died: in a
    container that is always the same one.
    """
    import psutil

    written = rwlock.stat().st_mtime

    def lives(entry: dict[str, Any]) -> bool:
        try:
            return bool(psutil.Process(entry["pid"]).create_time() <= written + CLOCKS_DIFFER)
        except psutil.NoSuchProcess:
            return False

    try:
        locks = read_json(rwlock)
    except DamagedData:
        rwlock.unlink()
        return
    readers = {path: [e for e in entries if lives(e)] for path, entries in locks.get("read", {}).items()}
    alive = {
        "write": {path: entry for path, entry in locks.get("write", {}).items() if lives(entry)},
        "read": {path: entries for path, entries in readers.items() if entries},
    }
    if alive != {"write": {}, "read": {}} | locks:
        write_json(rwlock, alive)


def _read(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def initialise(root: Path) -> None:
    """Make a git repository a DVC repository too; DVC stages its own files in git."""
    from dvc.repo import Repo

    with contextlib.redirect_stdout(io.StringIO()):
        Repo.init(str(root)).close()


@patiently
def object_folders(root: Path) -> list[Path]:
    """Where objects lie as files here: DVC's cache, and the default remote if it is a folder."""
    with open_repo(root) as repo:
        stores = [repo.cache.local.path]
        if repo.config["core"].get("remote") and (remote := repo.cloud.get_remote_odb()).fs.protocol == "local":
            stores.append(remote.path)
    return [Path(store) for store in stores]


def find_changes(root: Path, addresses: Iterable[str]) -> dict[str, list[str]]:
    """What DVC thinks is not current, by stage, with its reasons; empty when all is current. Busy if it cannot say."""
    with open_repo(root) as repo:
        status = repo.status(targets=absolute(root, addresses))
    # A status is keyed by the address as seen from the current folder: "../dvc.yaml:stage@expansion".
    return {name.rsplit(":", 1)[-1]: [_describe(change) for change in changes] for name, changes in status.items()}


changed_stages = patiently(find_changes)


@patiently
def commit_stage(root: Path, name: str) -> None:
    """Record the stage's present outputs, inputs and parameters in dvc.lock and the cache."""
    with open_repo(root) as repo, shielded():  # DVC writes dvc.lock in place
        repo.commit(*absolute(root, [name]), force=True)


@patiently
def forget_stage(root: Path, name: str) -> None:
    """Take a stage's entry out of dvc.lock, so that DVC finds it stale."""
    with open_repo(root) as repo, repo.lock:
        yaml, path = YAML(), root / LOCK
        content = yaml.load(path.read_text(encoding="utf-8"))
        if content["stages"].pop(name, None) is None:
            return
        with replace_file(path) as temporary, temporary.open("w", encoding="utf-8") as file:
            yaml.dump(content, file)


@patiently
def track(root: Path, path: Path) -> Path:
    """`dvc add` a file or folder; returns the pointer's path."""
    with open_repo(root) as repo, shielded():
        (stage,) = repo.add(str(path))
        return Path(stage.path)


@contextlib.contextmanager
def open_revision(root: Path, revision: str | None) -> Iterator[AbstractFileSystem]:
    """The workspace's files, tracked by git or by DVC, as they were at a git revision; None is as they are now.

    Paths are relative to the workspace. What is in DVC's cache is read there, the rest from the remote.
    """
    from dvc.api import DVCFileSystem

    logging.getLogger("dvc").setLevel(logging.ERROR)
    with contextlib.redirect_stdout(io.StringIO()):
        system = DVCFileSystem(str(root), rev=revision)
    try:
        yield system
    finally:
        system.close()


def _describe(change: object) -> str:
    if isinstance(change, dict):
        return "; ".join(
            f"{kind}: {', '.join(entries) if isinstance(entries, dict) else entries}"
            for kind, entries in change.items()
        )
    return str(change)
