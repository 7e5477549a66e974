"""The DVC remote of a workspace: what is sent to it, what it holds, what comes back, each compared by its bytes.

Whatever the storage behind it has to say becomes one sentence: its drivers raise classes of their own, and DVC
itself only counts the objects that failed and logs the reasons.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from ops.errors import DamagedData, EnvironmentFault, GrowsetError, UserError
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
    """Name and URL of the default remote, or None."""
    with open_repo(root) as repo:
        return _default_remote(repo)


@retry_while_busy
def push(root: Path, targets: Collection[str], *, every_byte: bool = False, sink: Sink = ignore) -> int:
    """Send what the default remote lacks or holds otherwise, and ask for it again; returns how many objects were sent.

    `dvc push` and `dvc status --cloud` would not do: where they find the list of a folder's files, or remember it,
    they take the files to be there, and they never compare one. With `every_byte` each object in the remote is read.
    DamagedData if neither the cache nor the workspace has an intact copy of an object to send.
    """
    with _sentences("pushing to") as reasons, open_repo(root) as repo:
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
            odb.fs.remove(odb.oid_to_path(each.oid))  # DVC sends nothing that seems to be there
        _forget_remote(repo)
        sink(f"push: {len(found.faults):,} objects")
        sent = repo.cloud.push(_hash_infos(found.faults)).transferred
        if still := _survey(repo, list(found.faults)).faults:
            (first, fault), count = min(still.items(), key=lambda item: str(item[0].file)), len(found.faults)
            told = f"{len(still)} of {count} objects are not there as they were sent, the one of {first.file} {fault}"
            raise EnvironmentFault(_sentence("pushing to", told, reasons))
        return len(sent)


@retry_while_busy
def find_faults(
    root: Path, targets: Collection[str], *, every_byte: bool = False, sink: Sink = ignore
) -> dict[Path, str]:
    """What is wrong in the default remote with the objects of the targets, by file: missing, of another size, other
    bytes. The storage is asked for each object; with `every_byte` each is read too."""
    with _sentences("asking"), open_repo(root) as repo:
        objects, unlisted = _list_objects(repo, list_outs(repo, targets))
        faults = _survey(repo, objects, every_byte=every_byte, sink=sink).faults
        unknown = {
            Path(out.fs_path): "has no whole list of its files in DVC's cache to compare with" for out in unlisted
        }
        return unknown | {each.file: fault for each, fault in faults.items()}


@retry_while_busy
def pull(root: Path, targets: Collection[str], *, name: str, sink: Sink = ignore) -> None:
    """Bring the targets' objects into the cache, compare every byte, and check them out.

    Nothing is checked out unless all of it is right. Raises UserError where this commit knows no data of a target,
    EnvironmentFault where the remote lacks an object or cannot be reached, DamagedData where an object is not what was
    pushed. `name` is the expansion's, for the sentences. Without a remote the cache and the workspace must do.
    """
    with _sentences("pulling from") as reasons, open_repo(root) as repo:
        remote = _default_remote(repo)
        nothing = f"{root} has no default DVC remote to pull from; name one with: dvc remote add --default NAME URL"
        known = {target for target, outs in _known_outs(repo).items() if all(out.hash_info for out in outs)}
        for target in targets:
            if target not in known:
                raise UserError(
                    nothing
                    if remote is None
                    else f"this commit knows no data of {target}; check out one in which it was published"
                )
        outs = list_outs(repo, targets)

        def fetch(lacking: list[StoredObject]) -> None:
            if remote is not None:
                sink(f"fetch: {len(lacking):,} objects from the remote '{remote[0]}'")
                _fetch(repo, lacking)

        if missing := restore_cache(repo, outs, fetch, sink):
            if remote is None and missing[0].file.exists():
                raise DamagedData(f"{_nowhere(missing[0])}, and there is no remote; make it anew: growset run {name}")
            if remote is None:
                raise UserError(nothing)
            _explain_missing(repo, missing, reasons, name)
        check_out(repo, targets, outs)


def _default_remote(repo: Repo) -> tuple[str, str] | None:
    name: str | None = repo.config["core"].get("remote")
    if not name:
        return None
    if name not in repo.config["remote"]:
        raise UserError(f"the default DVC remote '{name}' has no URL; give it one with: dvc remote add {name} URL")
    return name, str(repo.config["remote"][name]["url"])


def _known_outs(repo: Repo) -> dict[str, list[Output]]:
    """Cached outputs of DVC's stages by target. DVC itself reads dvc.yaml and dvc.lock anew for every target."""
    pipeline = str(Path(repo.root_dir) / "dvc.yaml")
    return {
        stage.name if stage.path == pipeline else stage.path: [out for out in stage.outs if out.use_cache]
        for stage in repo.index.stages
    }


def list_outs(repo: Repo, targets: Collection[str]) -> list[Output]:
    """The targets' outputs of which this commit knows data. UserError for a target that DVC does not know."""
    known = _known_outs(repo)
    if unknown := set(targets) - known.keys():
        raise UserError(f"DVC does not know {min(unknown)} in {repo.root_dir}")
    return [out for target in targets for out in known[target] if out.hash_info]


def _list_objects(repo: Repo, outs: Collection[Output]) -> tuple[list[StoredObject], list[Output]]:
    """All objects of the outputs that are known, and the outputs whose list of files the cache does not hold whole."""
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
    """Ask the remote, and remember what it says of the objects that are right."""
    odb = repo.cloud.get_remote_odb()
    url = odb.fs.unstrip_protocol(odb.path)
    note = Path(repo.root_dir) / ".growset" / "remotes" / f"{hash_json(url)[:16]}.json"
    marks: dict[str, str] = read_json(note) if note.exists() else {}
    sizes = {}  # where every byte is read no size is needed, and the cache's may be a damaged object's
    if not every_byte:
        sizes = {each.oid: path.stat().st_size for each in objects if (path := cache_path(repo, each.oid)).is_file()}
    progress = Progress(sink, "remote", len({each.oid for each in objects}), "objects")
    found = survey(odb, objects, sizes=sizes, marks=marks, every_byte=every_byte, advance=progress.update)
    if not found.marks.items() <= marks.items() or any(each.oid in marks for each in found.faults):
        gone = {each.oid for each in found.faults}
        write_json(note, {oid: mark for oid, mark in (marks | found.marks).items() if oid not in gone})
    return found


def _require_whole(repo: Repo, outs: Collection[Output]) -> None:
    """Mend the cache's objects of the outputs from the workspace; DamagedData where that cannot be."""
    if missing := restore_cache(repo, outs, lambda missing: None):
        raise DamagedData(f"{_nowhere(missing[0])}, so it cannot be sent; run the stage that makes it again")


def _nowhere(lost: StoredObject) -> str:
    return f"{lost.file} is whole neither in DVC's cache nor in the workspace"


def _fetch(repo: Repo, objects: list[StoredObject]) -> None:
    """Copy what the remote has of these objects into the cache."""
    from dvc_objects.errors import ObjectFormatError

    try:
        repo.cloud.pull(_hash_infos(objects))
    except ObjectFormatError:  # a list of files cannot be read, and DVC gives up on the others too
        for each in objects:
            with suppress(ObjectFormatError):
                repo.cloud.pull(_hash_infos([each]))


def _explain_missing(repo: Repo, missing: list[StoredObject], reasons: list[str], name: str) -> NoReturn:
    """Say of objects that could not be fetched whether the remote lacks them or holds something else."""
    odb = repo.cloud.get_remote_odb()
    faults = survey(odb, missing, sizes={}, marks={}, every_byte=True).faults
    changed = [each for each in missing if faults.get(each, MISSING) != MISSING]
    if changed:
        place = odb.fs.unstrip_protocol(odb.oid_to_path(changed[0].oid))
        raise DamagedData(
            f"{len(changed)} object{'s are' if len(changed) > 1 else ' is'} in the remote not as pushed: {place}, the"
            f" content of {changed[0].file}, {faults[changed[0]]}; nothing was checked out;"
            f" `growset push {name}` in a workspace that has it whole sends it again"
        )
    told = f"{len(missing)} objects could not be fetched, the first is of {missing[0].file}"
    raise EnvironmentFault(_sentence("pulling from", told, reasons))


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
