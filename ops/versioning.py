"""DVC, and nothing else in Growset calls it: state, commit, add, push, pull of one workspace.

One writer at a time: every call waits for the repository's lock. Paths given to DVC are absolute, because
it resolves relative ones against the process's folder.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ops.errors import EnvironmentFault, UserError
from ops.recipe.stages import STAGES

if TYPE_CHECKING:
    from dvc.repo import Repo


def address(stage: str, expansion: str) -> str:
    """The stage's name in dvc.yaml's matrix."""
    return f"{stage}@{expansion}"


def stage_addresses(expansion: str) -> list[str]:
    """All stages of an expansion."""
    return [address(stage, expansion) for stage in STAGES]


def _absolute(root: Path, targets: Iterable[str]) -> list[str]:
    """Targets as DVC finds them from any folder: it takes a bare stage name to be of ./dvc.yaml."""
    return [f"{root / 'dvc.yaml'}:{target}" if "@" in target else target for target in targets]


def running_under_dvc() -> bool:
    """Whether this process is a DVC stage's command: DVC commits the stage then, and we must not."""
    return "DVC_STAGE" in os.environ


@contextlib.contextmanager
def open_repo(root: Path) -> Iterator[Repo]:
    """The workspace's DVC repository; UserError if it is none. Its hints about git are not printed."""
    from dvc.exceptions import NotDvcRepoError
    from dvc.repo import Repo

    logging.getLogger("dvc").setLevel(logging.ERROR)
    try:
        repo = Repo(str(root), _wait_for_lock=True)
    except NotDvcRepoError:
        raise UserError(f"{root} is not a DVC repository; run `dvc init` there") from None
    with contextlib.redirect_stdout(io.StringIO()), repo:
        yield repo


def initialise(root: Path) -> None:
    """Make a git repository a DVC repository too; DVC stages its own files in git."""
    from dvc.repo import Repo

    with contextlib.redirect_stdout(io.StringIO()):
        Repo.init(str(root)).close()


def changed_stages(root: Path, addresses: Iterable[str]) -> dict[str, list[str]]:
    """What DVC thinks is not current, by stage, with its reasons; empty when all is current."""
    with open_repo(root) as repo:
        status = repo.status(targets=_absolute(root, addresses))
    # A status is keyed by the address as seen from the current folder: "../dvc.yaml:stage@expansion".
    return {name.rsplit(":", 1)[-1]: [_describe(change) for change in changes] for name, changes in status.items()}


def commit_stage(root: Path, name: str) -> None:
    """Record the stage's present outputs, inputs and parameters in dvc.lock and the cache."""
    with open_repo(root) as repo:
        repo.commit(*_absolute(root, [name]), force=True)


def track(root: Path, path: Path) -> Path:
    """`dvc add` a file or folder; returns the pointer's path."""
    with open_repo(root) as repo:
        (stage,) = repo.add(str(path))
        return Path(stage.path)


def default_remote(root: Path) -> tuple[str, str] | None:
    """Name and URL of the default remote, or None."""
    with open_repo(root) as repo:
        name: str | None = repo.config["core"].get("remote")
        return (name, str(repo.config["remote"][name]["url"])) if name else None


def push(root: Path, targets: Iterable[str]) -> int:
    """Push the targets' objects to the default remote; returns how many were sent. EnvironmentFault if it fails."""
    from dvc.exceptions import DvcException

    with open_repo(root) as repo:
        try:
            return int(repo.push(targets=_absolute(root, targets)))
        except (DvcException, OSError) as error:
            raise EnvironmentFault(f"pushing to the DVC remote failed: {error}; run it again to resume") from error


def missing_in_remote(root: Path, targets: Iterable[str]) -> list[str]:
    """Objects of the targets that the default remote does not hold, asked one by one."""
    with open_repo(root) as repo:
        status = repo.status(targets=_absolute(root, targets), cloud=True)
    return sorted(status)


def pull(root: Path, targets: Iterable[str]) -> None:
    """Fetch and check out the targets. EnvironmentFault if the remote does not have them all."""
    from dvc.exceptions import DvcException

    with open_repo(root) as repo:
        try:
            repo.pull(targets=_absolute(root, targets))
        except (DvcException, OSError) as error:
            raise EnvironmentFault(f"pulling from the DVC remote failed: {error}") from error


def _describe(change: object) -> str:
    if isinstance(change, dict):
        return "; ".join(
            f"{kind}: {', '.join(entries) if isinstance(entries, dict) else entries}"
            for kind, entries in change.items()
        )
    return str(change)
