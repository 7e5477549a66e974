"""Push to, check and pull from the DVC remote of a workspace, with every byte compared.

Every failure of the storage becomes one sentence: its drivers raise their own exception classes, and DVC itself only
counts the failed objects and logs the reasons.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from ops.errors import DamagedData, EnvironmentFault, GrowsetError, UserError, hide_credentials
from ops.files.hashing import hash_json
from ops.files.storage import read_json, write_json
from ops.history.dvc_repository import open_repo, retry_while_busy
from ops.machine.progress import Progress, Sink, ignore
from ops.remotes.objects import (
    StoredObject,
    cache_path,
    check_out,
    find_damaged,
    find_missing,
    head_object,
    list_files,
    restore_cache,
)
from ops.remotes.remote_objects import MISSING, Survey, survey

if TYPE_CHECKING:
    from dvc.output import Output
    from dvc.repo import Repo


@retry_while_busy
def default_remote(root: Path) -> tuple[str, str] | None:
    """Name of the default remote and its URL without credentials, or None."""
    with open_repo(root) as repo:
        return _default_remote(repo)


@retry_while_busy
def push(root: Path, targets: Collection[str], *, every_byte: bool = False, sink: Sink = ignore) -> int:
    """Send the objects that are missing or different in the default remote, and check them; returns how many were sent.

    `dvc push` and `dvc status --cloud` are not enough: if they find (or remember) the list of a folder's files, they
    assume that the files exist, and they compare no bytes. With `every_byte` each object in the remote is read.
    DamagedData if neither the cache nor the workspace has an intact copy of an object to send.
    """
    with _explain_failures("pushing to") as reasons, open_repo(root) as repo:
        outs = list_outs(repo, targets)
        _, unlisted = _list_objects(repo, outs)
        _require_whole(repo, unlisted)
        objects, _ = _list_objects(repo, outs)
        found = _survey(repo, objects, every_byte=every_byte, sink=sink)
        if not found.faults:
            return 0
        to_send = set(find_damaged(repo, list(found.faults)) + find_missing(repo, found.faults))
        _require_whole(repo, [out for out in outs if any(each.file.is_relative_to(out.fs_path) for each in to_send)])
        odb = repo.cloud.get_remote_odb()
        for each in (each for each, fault in found.faults.items() if fault != MISSING):
            odb.fs.remove(odb.oid_to_path(each.oid))  # DVC does not send objects that exist
        _forget_remote(repo)
        sink(f"push: {len(found.faults):,} objects")
        sent = repo.cloud.push(_hash_infos(found.faults)).transferred
        if still := _survey(repo, list(found.faults)).faults:
            (first, fault), count = min(still.items(), key=lambda item: str(item[0].file)), len(found.faults)
            message = f"{len(still)} of {count} objects did not arrive intact, the first, for {first.file}, {fault}"
            raise EnvironmentFault(_describe_failure("pushing to", message, reasons))
        return len(sent)


@retry_while_busy
def find_faults(
    root: Path, targets: Collection[str], *, every_byte: bool = False, sink: Sink = ignore
) -> dict[Path, str]:
    """The faults of the targets' objects in the default remote, by file: missing, another size, other bytes.

    Each object is looked up in the storage; with `every_byte` each is read too.
    """
    with _explain_failures("asking"), open_repo(root) as repo:
        objects, unlisted = _list_objects(repo, list_outs(repo, targets))
        faults = _survey(repo, objects, every_byte=every_byte, sink=sink).faults
        unknown = {
            Path(out.fs_path): "has no intact list of its files in DVC's cache to compare with" for out in unlisted
        }
        return unknown | {each.file: fault for each, fault in faults.items()}


@retry_while_busy
def pull(root: Path, targets: Collection[str], *, name: str, sink: Sink = ignore) -> None:
    """Bring the targets' objects into the cache, compare every byte, and check them out.

    Nothing is checked out unless every object is intact. UserError if this commit has no data for a target,
    EnvironmentFault if the remote lacks an object or cannot be reached, DamagedData if an object differs from the
    pushed one. `name` is the expansion's name, for messages. Without a remote only cache and workspace are used.
    """
    with _explain_failures("pulling from") as reasons, open_repo(root) as repo:
        remote = _default_remote(repo)
        no_remote = f"{root} has no default DVC remote to pull from; name one with: dvc remote add --default NAME URL"
        known = {target for target, outs in _known_outs(repo).items() if all(out.hash_info for out in outs)}
        for target in targets:
            if target not in known:
                raise UserError(
                    no_remote
                    if remote is None
                    else f"this commit has no data for {target}; check out one in which it was published"
                )
        outs = list_outs(repo, targets)

        def fetch(lacking: list[StoredObject]) -> None:
            if remote is not None:
                sink(f"fetch: {len(lacking):,} objects from the remote '{remote[0]}'")
                _fetch(repo, lacking)

        if missing := restore_cache(repo, outs, fetch, sink):
            if remote is None and missing[0].file.exists():
                raise DamagedData(
                    f"{_name_lost(missing[0])}, and the workspace has no remote; make it again with: growset run {name}"
                )
            if remote is None:
                raise UserError(no_remote)
            _explain_missing(repo, missing, reasons, name)
        check_out(repo, targets, outs)


def _default_remote(repo: Repo) -> tuple[str, str] | None:
    name: str | None = repo.config["core"].get("remote")
    if not name:
        return None
    if name not in repo.config["remote"]:
        raise UserError(f"the default DVC remote '{name}' has no URL; set one with: dvc remote add {name} URL")
    return name, hide_credentials(str(repo.config["remote"][name]["url"]))


def _known_outs(repo: Repo) -> dict[str, list[Output]]:
    """Cached outputs of DVC's stages by target. DVC's own lookup reads dvc.yaml and dvc.lock again for every target."""
    pipeline = str(Path(repo.root_dir) / "dvc.yaml")
    return {
        stage.name if stage.path == pipeline else stage.path: [out for out in stage.outs if out.use_cache]
        for stage in repo.index.stages
    }


def list_outs(repo: Repo, targets: Collection[str]) -> list[Output]:
    """The targets' outputs that have data in this commit. UserError for a target that DVC does not know."""
    known = _known_outs(repo)
    if unknown := set(targets) - known.keys():
        raise UserError(f"DVC does not know {min(unknown)} in {repo.root_dir}")
    return [out for target in targets for out in known[target] if out.hash_info]


def _list_objects(repo: Repo, outs: Collection[Output]) -> tuple[list[StoredObject], list[Output]]:
    """All known objects of the outputs, and the outputs whose list of files is missing or damaged in the cache."""
    objects, unlisted = [], []
    for out in outs:
        objects.append(head_object(out))
        try:
            objects += list_files(repo, out)
        except (FileNotFoundError, DamagedData):
            unlisted.append(out)
    return objects, unlisted


def _hash_infos(objects: Iterable[StoredObject]) -> set[Any]:
    from dvc_data.hashfile.hash_info import HashInfo

    return {HashInfo("md5", each.oid, obj_name=str(each.file)) for each in objects}


def _survey(repo: Repo, objects: list[StoredObject], *, every_byte: bool = False, sink: Sink = ignore) -> Survey:
    """Check the objects in the remote, and store the marks of the intact ones for the next check."""
    odb = repo.cloud.get_remote_odb()
    url = odb.fs.unstrip_protocol(odb.path)
    note = Path(repo.root_dir) / ".growset" / "remotes" / f"{hash_json(url)[:16]}.json"
    marks: dict[str, str] = read_json(note) if note.exists() else {}
    sizes = {}  # if every byte is read, sizes are not needed; those in the cache may be of damaged objects
    if not every_byte:
        sizes = {each.oid: path.stat().st_size for each in objects if (path := cache_path(repo, each.oid)).is_file()}
    progress = Progress(sink, "remote", len({each.oid for each in objects}), "objects")
    found = survey(odb, objects, sizes=sizes, marks=marks, every_byte=every_byte, advance=progress.update)
    if not found.marks.items() <= marks.items() or any(each.oid in marks for each in found.faults):
        gone = {each.oid for each in found.faults}
        write_json(note, {oid: mark for oid, mark in (marks | found.marks).items() if oid not in gone})
    return found


def _require_whole(repo: Repo, outs: Collection[Output]) -> None:
    """Restore the outputs' objects in the cache from the workspace; DamagedData if that is impossible."""
    if missing := restore_cache(repo, outs, lambda missing: None):
        raise DamagedData(f"{_name_lost(missing[0])}, so it cannot be sent; run the stage that makes it again")


def _name_lost(lost: StoredObject) -> str:
    return f"{lost.file} is intact neither in DVC's cache nor in the workspace"


def _fetch(repo: Repo, objects: list[StoredObject]) -> None:
    """Copy these objects into the cache, as far as the remote has them."""
    from dvc_objects.errors import ObjectFormatError

    try:
        repo.cloud.pull(_hash_infos(objects))
    except ObjectFormatError:  # after one broken list of files DVC does not fetch the others
        for each in objects:
            with suppress(ObjectFormatError):
                repo.cloud.pull(_hash_infos([each]))


def _explain_missing(repo: Repo, missing: list[StoredObject], reasons: list[str], name: str) -> NoReturn:
    """Raise an error for objects that could not be fetched: whether the remote lacks them or holds other content."""
    odb = repo.cloud.get_remote_odb()
    faults = survey(odb, missing, sizes={}, marks={}, every_byte=True).faults
    changed = [each for each in missing if faults.get(each, MISSING) != MISSING]
    if changed:
        place = odb.fs.unstrip_protocol(odb.oid_to_path(changed[0].oid))
        raise DamagedData(
            f"{len(changed)} object{'s' if len(changed) > 1 else ''} in the remote changed since the push: {place}, the"
            f" content of {changed[0].file}, {faults[changed[0]]}; nothing was checked out;"
            f" `growset push {name}` in a workspace with an intact copy sends it again"
        )
    message = f"{len(missing)} objects could not be fetched, the first is for {missing[0].file}"
    raise EnvironmentFault(_describe_failure("pulling from", message, reasons))


def _forget_remote(repo: Repo) -> None:
    """Clear DVC's index of the remote, else DVC would not send objects that somebody deleted there."""
    from dvc_data.hashfile.db import get_index

    with closing(get_index(repo.cloud.get_remote_odb())) as index:
        index.clear()


def _describe_failure(doing: str, message: str, reasons: list[str]) -> str:
    more = "".join(f" ({each})" for each in reasons)
    return f"{doing} the DVC remote failed: {message}{more}; run it again to resume"


@contextmanager
def _explain_failures(doing: str) -> Iterator[list[str]]:
    """Turn exceptions of the storage and of DVC in the block into an EnvironmentFault of one sentence.

    Yields a list that gets the reason why the first object was not transferred, as soon as DVC logs it.
    """
    from dvc.exceptions import DvcException

    with _collect_reason() as reasons:
        try:
            yield reasons
        except GrowsetError:
            raise
        except Exception as error:
            # A built-in class other than OSError is a bug in Growset or DVC, and not a failure of the storage.
            if not isinstance(error, DvcException | OSError) and type(error).__module__ == "builtins":
                raise
            message = _first_line(error)
            more = [each for each in reasons if each != message]
            raise EnvironmentFault(_describe_failure(doing, message, more)) from error


def _first_line(error: BaseException) -> str:
    line, *more = str(error).strip().splitlines() or [type(error).__name__]
    return f"{line} {more[0]}" if line.endswith(":") and more else line.rstrip(".")


@contextmanager
def _collect_reason() -> Iterator[list[str]]:
    """Collect the first reason that DVC logs for an object that it could not transfer; DVC would print all of them."""

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if not reasons and record.exc_info and record.exc_info[1]:
                reasons.append(_first_line(record.exc_info[1]))

    reasons: list[str] = []
    log = logging.getLogger("dvc_data")
    before = log.handlers, log.propagate
    log.handlers, log.propagate = [Listener(logging.ERROR)], False
    try:
        yield reasons
    finally:
        log.handlers, log.propagate = before
