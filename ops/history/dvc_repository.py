"""The DVC repository of a workspace: state, commit, add. Only this module and the package `ops.remotes` know DVC.

There is one writer at a time: every call waits for the repository's lock, and for a DVC command that works on the same
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
CONFLICT = b"<<<<<<< "  # begins what git leaves of a file that it could not merge
CLOCK_TOLERANCE = 2.0  # seconds by which a process's start and a file's time may disagree
PAUSE = 0.3  # seconds between two attempts to get DVC's locks
Arguments = ParamSpec("Arguments")
Answer = TypeVar("Answer")


class Busy(EnvironmentFault):
    """Another process holds one of DVC's locks."""


def address(stage: str, expansion: str) -> str:
    """The stage's name in dvc.yaml's matrix."""
    return f"{stage}@{expansion}"


def stage_addresses(expansion: str) -> list[str]:
    """All stages of an expansion."""
    return [address(stage, expansion) for stage in STAGES]


def absolute(root: Path, targets: Iterable[str]) -> list[str]:
    """Targets that DVC finds from any folder; it looks up a bare stage name in ./dvc.yaml."""
    return [f"{root / 'dvc.yaml'}:{target}" if "@" in target else target for target in targets]


def running_under_dvc() -> bool:
    """Whether this process is a DVC stage's command; DVC itself then commits the stage, so we must not."""
    return "DVC_STAGE" in os.environ


def retry_while_busy(call: Callable[Arguments, Answer]) -> Callable[Arguments, Answer]:
    """Call the function again, from its beginning, as long as it raises Busy.

    DVC itself waits three seconds for its lock. It does not wait at all for a command that works on an output, such as
    a stage of `dvc repro`, which may take hours.
    """

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
    """The workspace's DVC repository; UserError if there is none, Busy if another process holds one of its locks,
    DamagedData if DVC cannot read one of its files.

    DVC's hints about git are not printed. If a signal stops the block, DVC's own files are repaired before it ends.
    """
    from dvc.exceptions import NotDvcRepoError
    from dvc.lock import LockError
    from dvc.repo import Repo
    from dvc.utils.serialize import ParseError

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
        except ParseError as error:
            raise DamagedData(
                f"DVC cannot read {error.path}, in which git may have left a conflict; mend it, or restore the"
                f" committed one with: git checkout HEAD -- {error.path}"
            ) from error
        except BaseException as error:
            if not isinstance(error, Exception):  # stopped by a signal
                with shielded(), contextlib.suppress(LockError), repo.lock:
                    mend(root)
            raise


def _describe_busy(root: Path, message: str) -> str:
    """One sentence for DVC's error of several lines."""
    path = re.match(r"'(.*)' is busy", message)
    blocker = re.search(r"\(PID (\d+)\): (.*)", message)
    if path is None or blocker is None:
        return f"the DVC repository {root}: another process is using it"
    number, command = blocker.groups()
    return f"{path[1]}: another process is using it ({number}: {command})"


def remember_lock(root: Path) -> None:
    """Keep a copy of dvc.lock, unless it is torn or git has left a conflict in it.

    `mend` restores the copy if a later dvc.lock is torn.
    """
    lock, copy = root / LOCK, root / ".growset" / LOCK
    content = _read(lock)
    if content and content.endswith(b"\n") and CONFLICT not in content and content != _read(copy):
        write_bytes(copy, content)


def mend(root: Path) -> None:
    """Repair dvc.lock and DVC's rwlock after a DVC process was killed: DVC writes both in place, which can tear them.

    A dvc.lock is torn if its last line has no end. At most the entry of one stage is lost, and its output exists. The
    caller must hold DVC's lock, so that no process is writing.
    """
    lock, rwlock = root / LOCK, root / ".dvc" / "tmp" / "rwlock"
    remember_lock(root)
    content, kept = _read(lock), _read(root / ".growset" / LOCK)
    if content is not None and not content.endswith(b"\n"):
        if kept is not None:
            write_bytes(lock, kept)
        elif not content:
            lock.unlink()  # DVC had created its first dvc.lock but not written it yet
        else:
            raise DamagedData(
                f"{lock} is torn, its end is missing; restore the committed one with: git checkout {LOCK}"
            )
    if rwlock.exists():
        _drop_stale_lock_entries(rwlock)


def _drop_stale_lock_entries(rwlock: Path) -> None:
    """Drop the entries of processes that have ended, or the whole file if it is torn.

    DVC drops such entries too, but mistakes a new process with the same number for the one that has ended. In a
    container the new process always has the same number.
    """
    import psutil

    written = rwlock.stat().st_mtime

    def is_running(entry: dict[str, Any]) -> bool:
        try:
            return bool(psutil.Process(entry["pid"]).create_time() <= written + CLOCK_TOLERANCE)
        except psutil.NoSuchProcess:
            return False

    try:
        locks = read_json(rwlock)
    except DamagedData:
        rwlock.unlink()
        return
    readers = {path: [e for e in entries if is_running(e)] for path, entries in locks.get("read", {}).items()}
    current = {
        "write": {path: entry for path, entry in locks.get("write", {}).items() if is_running(entry)},
        "read": {path: entries for path, entries in readers.items() if entries},
    }
    if current != {"write": {}, "read": {}} | locks:
        write_json(rwlock, current)


def _read(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None


def initialise(root: Path) -> None:
    """Initialise DVC in a git repository; DVC stages its own files in git."""
    from dvc.repo import Repo

    logging.getLogger("dvc").setLevel(logging.ERROR)  # no hints of what to do next
    with contextlib.redirect_stdout(io.StringIO()):
        Repo.init(str(root)).close()


@retry_while_busy
def check_pipeline(root: Path) -> None:
    """UserError with DVC's message if stages and pointers contradict, such as two that write the same path."""
    from dvc.exceptions import DvcException

    with open_repo(root) as repo:
        try:
            repo.index.check_graph()
        except DvcException as error:
            raise UserError(f"DVC cannot use the stages of Growset in {root}: {str(error).splitlines()[0]}") from None


@retry_while_busy
def object_folders(root: Path) -> list[Path]:
    """Folders on this machine that hold DVC's objects: the cache, and the default remote if it is a folder."""
    with open_repo(root) as repo:
        stores = [repo.cache.local.path]
        if repo.config["core"].get("remote") and (remote := repo.cloud.get_remote_odb()).fs.protocol == "local":
            stores.append(remote.path)
    return [Path(store) for store in stores]


def find_changes(root: Path, addresses: Iterable[str]) -> dict[str, list[str]]:
    """DVC's reasons by stage that is not current; empty if all are. Busy if another process holds a lock.

    An address without `@` is a path. The stages' files are parsed once: `Repo.status` parses them for each stage.
    """
    from dvc.dvcfile import load_file
    from dvc.repo import lock_repo

    names = set(addresses)
    stages = sorted(name for name in names if "@" in name)
    status: dict[str, list[object]] = {}
    with open_repo(root) as repo, lock_repo(repo):
        if paths := sorted(names.difference(stages)):
            status.update(repo.status(targets=paths))
        if stages:
            loaded = load_file(repo, str(root / "dvc.yaml")).stages
            for name in stages:
                status.update(loaded[name].status(check_updates=True))
    # A status is keyed by the address as seen from the current folder: "../dvc.yaml:stage@expansion".
    return {name.rsplit(":", 1)[-1]: [_describe(change) for change in changes] for name, changes in status.items()}


changed_stages = retry_while_busy(find_changes)


@retry_while_busy
def commit_stage(root: Path, name: str) -> None:
    """Record the stage's current outputs, inputs and parameters in dvc.lock and the cache."""
    with open_repo(root) as repo, shielded():  # DVC writes dvc.lock in place
        repo.commit(*absolute(root, [name]), force=True)


@retry_while_busy
def forget_stage(root: Path, name: str) -> None:
    """Remove a stage's entry from dvc.lock, so that DVC treats the stage as stale."""
    with open_repo(root) as repo, repo.lock:
        yaml, path = YAML(), root / LOCK
        content = yaml.load(path.read_text(encoding="utf-8"))
        if content["stages"].pop(name, None) is None:
            return
        with replace_file(path) as temporary, temporary.open("w", encoding="utf-8") as file:
            yaml.dump(content, file)


@retry_while_busy
def track(root: Path, path: Path) -> Path:
    """`dvc add` a file or folder; returns the pointer's path."""
    with open_repo(root) as repo, shielded():
        (stage,) = repo.add(str(path))
        return Path(stage.path)


@contextlib.contextmanager
def open_revision(root: Path, revision: str | None) -> Iterator[AbstractFileSystem]:
    """The workspace's files, tracked by git or DVC, at a git revision; None means the current state.

    Paths are relative to the workspace. Files are read from DVC's cache, or from the remote if they are not cached.
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
