"""The DVC remote of a workspace: what is sent to it, what it holds, what comes back.

Whatever the storage behind it has to say becomes one sentence: its drivers raise classes of their own, and DVC
itself only counts the objects that failed and logs the reasons.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Set
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ops.errors import EnvironmentFault, UserError
from ops.versioning import absolute, open_repo

if TYPE_CHECKING:
    from dvc.repo import Repo


def default_remote(root: Path) -> tuple[str, str] | None:
    """Name and URL of the default remote, or None."""
    with open_repo(root) as repo:
        name: str | None = repo.config["core"].get("remote")
        if not name:
            return None
        if name not in repo.config["remote"]:
            raise UserError(f"the default DVC remote '{name}' has no URL; give it one with: dvc remote add {name} URL")
        return name, str(repo.config["remote"][name]["url"])


def push(root: Path, targets: Iterable[str]) -> int:
    """Bring the targets' objects to the default remote and make sure of each; returns how many were sent."""
    with _sentences("pushing to"), open_repo(root) as repo:
        sent = int(repo.push(targets=absolute(root, targets)))
        if lost := _missing(repo, root, targets):
            sent += _send_again(repo, lost.keys())
            lost = _missing(repo, root, targets)
        if lost:
            (first, *_) = sorted(lost.values())
            raise EnvironmentFault(
                f"the DVC remote lacks {len(lost)} objects that were pushed, {first} first; run it again"
            )
        return sent


def missing_in_remote(root: Path, targets: Iterable[str]) -> list[str]:
    """Objects of the targets that the default remote does not hold; the storage is asked for each."""
    with _sentences("asking"), open_repo(root) as repo:
        return sorted(_missing(repo, root, targets).values())


def pull(root: Path, targets: Iterable[str]) -> None:
    """Fetch and check out the targets. EnvironmentFault if the remote does not have them all."""
    if default_remote(root) is None:
        raise UserError(f"{root} has no default DVC remote to pull from; name one with: dvc remote add --default")
    with _sentences("pulling from"), open_repo(root) as repo:
        repo.pull(targets=absolute(root, targets))


def _missing(repo: Repo, root: Path, targets: Iterable[str]) -> dict[Any, str]:
    """DVC's hashes of the objects that are not in the remote, each with the name of its file.

    `dvc status --cloud` would not do: where it finds a folder's list of files, it takes the files to be there.
    """
    names: dict[Any, str] = {}
    for target in absolute(root, targets):
        for stage, _ in repo.stage.collect_granular(target):
            for out in stage.outs:
                if out.use_cache:
                    names[out.hash_info] = str(out)
                    for objects in out.get_used_objs(force=True, push=True).values():
                        names |= {each: each.obj_name for each in objects}
    held = set(repo.cloud.get_remote_odb().oids_exist({each.value for each in names}))
    return {each: name for each, name in names.items() if each.value not in held}


def _send_again(repo: Repo, objects: Set[Any]) -> int:
    """Send what somebody took out of the remote; DVC's own note of what is there must go first."""
    from dvc_data.hashfile.db import get_index

    with closing(get_index(repo.cloud.get_remote_odb())) as index:
        index.clear()
    files = {each for each in objects if not each.isdir}
    folders = objects - files
    return sum(len(repo.cloud.push(part).transferred) for part in (files, folders) if part)


@contextmanager
def _sentences(doing: str) -> Iterator[None]:
    """Turn what the storage or DVC raises within into an EnvironmentFault of one sentence."""
    from dvc.exceptions import DvcException

    with _first_reason() as reasons:
        try:
            yield
        except Exception as error:
            # A built-in class other than OSError is a bug, here or in DVC, and not the storage's word.
            if isinstance(error, EnvironmentFault | UserError):
                raise
            if not isinstance(error, DvcException | OSError) and type(error).__module__ == "builtins":
                raise
            told = _line(error) + "".join(f" ({reason})" for reason in reasons if reason != _line(error))
            raise EnvironmentFault(f"{doing} the DVC remote failed: {told}; run it again to resume") from error


def _line(error: BaseException) -> str:
    (line, *_) = str(error).strip().splitlines() or [type(error).__name__]
    return line.rstrip(":.")


@contextmanager
def _first_reason() -> Iterator[list[str]]:
    """Why the first object could not be transferred, where DVC logs such a thing within the block."""

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if not reasons and record.exc_info and record.exc_info[1]:
                reasons.append(_line(record.exc_info[1]))

    reasons: list[str] = []
    listener, log = Listener(logging.ERROR), logging.getLogger("dvc_data")
    log.addHandler(listener)
    try:
        yield reasons
    finally:
        log.removeHandler(listener)
