"""How often test images were looked at: an append-only log, one JSON line per evaluation.

Every look at a test split costs a little of its honesty, so each evaluation is written here and the report prints the
count. Each record carries its own hash and the hash of a record before it: what is edited, taken out or moved is
noticed. What is cut off at the end is noticed by a copy of the log that is kept elsewhere. Nothing in this module
removes or rewrites a line, and a line that cannot be read is an error, never skipped: a count that silently forgets
evaluations would be worse than none.

Lines that an earlier Growset wrote have no hashes and are counted all the same. Two branches' lines may be merged: a
record need not follow the one that it names at once. It does not know what an evaluation computes, nor the time: the
caller says when. Lines of one file may come from several processes on one machine.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ops.errors import DamagedData
from ops.files.hashing import hash_json
from ops.files.storage import parse_json, sync, write_bytes


@dataclass(frozen=True)
class Evaluation:
    """One look at the images of a split.

    time: ISO 8601, as `datetime.fromisoformat` reads it. fingerprint: of the stage that evaluates. arms and
    seeds: what was evaluated. images: how many images of the split were seen (by each arm and seed). content: hash
    of the split's images and labels, whatever the expansion calls itself. elsewhere: looks at this content before
    this one that other logs know and this one does not; absorbed: the hashes of those logs' last records.
    """

    time: str
    expansion: str
    split: str
    fingerprint: str
    arms: Sequence[str]
    seeds: Sequence[int]
    images: int
    content: str
    elsewhere: int = 0
    absorbed: Sequence[str] = ()


def append_evaluation(path: Path, record: Evaluation) -> str:
    """Append `record` as one line and return its hash once it is on disk; file and folder are made if missing.

    Call it before the evaluation, so that a crash can count one too many but never one too few. After a crash
    that tore the last line, the record starts on a line of its own and the torn line stays for `read_log` to report.
    ValueError for a time that is not ISO 8601; OSError where the disk does not take the line.
    """
    datetime.fromisoformat(record.time)
    fields = asdict(record) | {
        "arms": list(record.arms),
        "seeds": list(record.seeds),
        "absorbed": list(record.absorbed),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with _locked(path) as handle:
        size = os.fstat(handle).st_size
        content = os.pread(handle, size, 0)
        fields["previous"] = _last_identity(content)
        fields["hash"] = hash_json(fields)
        line = json.dumps(fields, ensure_ascii=False, allow_nan=False).encode() + b"\n"
        if content and not content.endswith(b"\n"):
            line = b"\n" + line
        # One write call: a crash leaves all of the line, or a torn one that is reported.
        written = os.write(handle, line)
        if written != len(line):
            raise OSError(f"{path}: only {written} of {len(line)} bytes of an evaluation could be written")
        os.fsync(handle)
    sync(path.parent)
    return str(fields["hash"])


def read_log(path: Path, copy: Path | None = None) -> list[dict[str, Any]]:
    """All records in order; an empty list if the file does not exist. New records are written to `copy` too.

    Raises DamagedData, with file and line, if a line is not an evaluation, was edited, or names a predecessor that
    does not precede it. Raises it also if the log lacks a line of `copy`.
    """
    known = copy.read_bytes() if copy is not None and copy.exists() else b""  # before the log, which only grows
    content = _read(path)
    records = _parse(path, content)
    if copy is not None:
        if lacking := [line for line in known.splitlines() if line and line not in set(content.splitlines())]:
            count = f"{len(lacking)} evaluations that were" if len(lacking) > 1 else "an evaluation that was"
            raise DamagedData(f"{path} lacks {count} recorded here; bring it back with git, or with: cp {copy} {path}")
        if known != content:
            write_bytes(copy, content)
    return records


def count_looks(records: Collection[Mapping[str, Any]], content: str, *, expansion: str, images: int) -> int:
    """How many looks at a test split's content the records tell of, by whatever expansion.

    A record of an earlier Growset does not name the content: it counts if it is of this expansion or saw as many
    images, because it may have been this split.
    """
    return sum(
        1 + record.get("elsewhere", 0)
        for record in records
        if record["split"] == "test"
        and (
            record["content"] == content
            if "content" in record
            else record["expansion"] == expansion or record.get("images") == images
        )
    )


def _read(path: Path) -> bytes:
    """The log as it is when nobody is appending; empty where there is none."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            return file.read()
    except FileNotFoundError:
        return b""


def _parse(path: Path, content: bytes) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = []
    identities: set[str] = set()
    last = None
    for number, line in enumerate(content.split(b"\n"), start=1):
        if not line:
            continue
        try:
            record = parse_json(line)
        except ValueError as error:
            raise DamagedData(
                f"{path}, line {number}: not JSON; get the line back with git, or remove it if an append was cut short:"
                " then the evaluation that it announces was never made"
            ) from error
        if not isinstance(record, dict) or not {"expansion", "split"} <= record.keys():
            raise DamagedData(f"{path}, line {number}: not an evaluation, it lacks 'expansion' and 'split'")
        if fault := _find_fault(record, identities):
            raise DamagedData(f"{path}, line {number}: {fault}; get the log back with git")
        last = _identify(record, line, last)
        identities.add(last)
        records.append(record)
    return records


def _find_fault(record: Mapping[str, Any], before: Collection[str]) -> str | None:
    """Why a record with hashes is not as it was written where it was written; None for one without."""
    if "hash" not in record:
        return "it has no hash of its own" if {"previous", "content"} & record.keys() else None
    if hash_json({key: value for key, value in record.items() if key != "hash"}) != record["hash"]:
        return "it is not what was written, its hash does not match"
    if record.get("previous") is not None and record["previous"] not in before:
        return "the record that it names is not before it: lines are missing, changed or in another order"
    return None


def _identify(record: Mapping[str, Any], line: bytes, before: str | None) -> str:
    """What a later record calls this one. One without a hash is known by its bytes and by all before it."""
    return str(record["hash"]) if "hash" in record else hashlib.sha256((before or "").encode() + line).hexdigest()


def _last_identity(content: bytes) -> str | None:
    """Of the last line that can be read; a torn one is of no evaluation."""
    last = None
    for line in content.split(b"\n"):
        try:
            record = parse_json(line)
        except ValueError:
            continue
        if isinstance(record, dict):
            last = _identify(record, line, last)
    return last


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    """The log, open for appending and held against other processes; git may put another file in its place meanwhile."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if path.exists() and os.path.samestat(os.fstat(handle), path.stat()):
                yield handle
                return
        finally:
            os.close(handle)
