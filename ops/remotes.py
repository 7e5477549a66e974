"""The DVC remote of a workspace: what is sent to it, what it holds, what comes back.

Whatever the storage behind it has to say becomes one sentence: its drivers raise classes of their own, and DVC
itself only counts the objects that failed and logs the reasons.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ops.errors import EnvironmentFault, GrowsetError, UserError
from ops.versioning import absolute, open_repo, patiently

if TYPE_CHECKING:
    from dvc.repo import Repo


@patiently
def default_remote(root: Path) -> tuple[str, str] | None:
    """Name and URL of the default remote, or None."""
    with open_repo(root) as repo:
        name: str | None = repo.config["core"].get("remote")
        if not name:
            return None
        if name not in repo.config["remote"]:
            raise UserError(f"the default DVC remote '{name}' has no URL; give it one with: dvc remote add {name} URL")
        return name, str(repo.config["remote"][name]["url"])


@patiently
def push(root: Path, targets: Collection[str]) -> int:
    """Send what the default remote lacks of the targets, and ask for it again; returns how many objects were sent.

    `dvc push` and `dvc status --cloud` would not do: where they find the list of a folder's files, or remember it,
    they take the files to be there.
    """
    with _sentences("pushing to") as reasons, open_repo(root) as repo:
        lacking = _missing(repo, targets)
        if not lacking:
            return 0
        _forget_remote(repo)
        sent = repo.cloud.push(lacking.keys()).transferred
        if still := sorted(_missing(repo, targets).values()):
            told = f"{len(still)} of {len(lacking)} objects are not there, the first is of {still[0]}"
            raise EnvironmentFault(_sentence("pushing to", told, reasons))
        return len(sent)


@patiently
def missing_in_remote(root: Path, targets: Collection[str]) -> list[str]:
    """Objects of the targets that the default remote does not hold; the storage is asked for each."""
    with _sentences("asking"), open_repo(root) as repo:
        return sorted(_missing(repo, targets).values())


@patiently
def pull(root: Path, targets: Collection[str]) -> None:
    """Fetch and check out the targets. EnvironmentFault if the remote does not have them all."""
    if default_remote(root) is None:
        raise UserError(
            f"{root} has no default DVC remote to pull from; name one with: dvc remote add --default NAME URL"
        )
    with _sentences("pulling from"), open_repo(root) as repo:
        stages = _stages(repo)
        for target in targets:
            if target not in stages or not all(out.hash_info for out in stages[target].outs if out.use_cache):
                raise UserError(f"this commit knows no data of {target}; check out one in which it was published")
        repo.pull(targets=absolute(root, targets))


def _stages(repo: Repo) -> dict[str, Any]:
    """DVC's stages by target. DVC itself reads dvc.yaml and dvc.lock anew for every target that it looks for."""
    pipeline = str(Path(repo.root_dir) / "dvc.yaml")
    return {stage.name if stage.path == pipeline else stage.path: stage for stage in repo.index.stages}


def _missing(repo: Repo, targets: Collection[str]) -> dict[Any, str]:
    """DVC's hashes of the objects that are not in the remote, each with the name of its file."""
    stages = _stages(repo)
    if unknown := set(targets) - stages.keys():
        raise UserError(f"DVC does not know {min(unknown)} in {repo.root_dir}")
    names: dict[Any, str] = {}
    for out in (out for target in targets for out in stages[target].outs if out.use_cache):
        names[out.hash_info] = str(out)
        for objects in out.get_used_objs(force=True, push=True).values():
            names |= {each: each.obj_name for each in objects}
    held = set(repo.cloud.get_remote_odb().oids_exist({each.value for each in names}))
    return {each: name for each, name in names.items() if each.value not in held}


def _forget_remote(repo: Repo) -> None:
    """Drop DVC's note of what the remote holds: it would not send what somebody took out of there."""
    from dvc_data.hashfile.db import get_index

    with closing(get_index(repo.cloud.get_remote_odb())) as index:
        index.clear()


def _sentence(doing: str, told: str, reasons: list[str]) -> str:
    return f"{doing} the DVC remote failed: {told}{''.join(f' ({each})' for each in reasons)}; run it again to resume"


@contextmanager
def _sentences(doing: str) -> Iterator[list[str]]:
    """Turn what the storage or DVC raises within into an EnvironmentFault of one sentence.

    Yields why the first object was not transferred, as soon as DVC logs it.
    """
    from dvc.exceptions import DvcException

    with _reason() as reasons:
        try:
            yield reasons
        except GrowsetError:
            raise
        except Exception as error:
            # A built-in class other than OSError is a bug, here or in DVC, and not the storage's word.
            if not isinstance(error, DvcException | OSError) and type(error).__module__ == "builtins":
                raise
            told = _line(error)
            raise EnvironmentFault(_sentence(doing, told, [each for each in reasons if each != told])) from error


def _line(error: BaseException) -> str:
    line, *more = str(error).strip().splitlines() or [type(error).__name__]
    return f"{line} {more[0]}" if line.endswith(":") and more else line.rstrip(".")


@contextmanager
def _reason() -> Iterator[list[str]]:
    """Listen to what DVC logs on objects that it could not transfer, and keep the first; it would print them all."""

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if not reasons and record.exc_info and record.exc_info[1]:
                reasons.append(_line(record.exc_info[1]))

    reasons: list[str] = []
    log = logging.getLogger("dvc_data")
    before = log.handlers, log.propagate
    log.handlers, log.propagate = [Listener(logging.ERROR)], False
    try:
        yield reasons
    finally:
        log.handlers, log.propagate = before
