"""How often test images were looked at: an append-only log, one JSON line per evaluation.

Every look at a test split costs a little of its honesty, so each evaluation is written here and the report
prints the count. Nothing in this module removes or rewrites a line, and a line that cannot be read is an
error, never skipped: a count that silently forgets evaluations would be worse than none.

It does not know what an evaluation computes, nor the time: the caller says when. Lines of one file may come
from several processes on one machine; on network file systems an append is only as atomic as they make it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ops.errors import DamagedData
from ops.storage import parse_json


@dataclass(frozen=True)
class Evaluation:
    """One look at the images of a split.

    time: ISO 8601, as `datetime.fromisoformat` reads it. fingerprint: of the stage that evaluates. arms and
    seeds: what was evaluated. images: how many images of the split were seen (by each arm and seed).
    """

    time: str
    expansion: str
    split: str
    fingerprint: str
    arms: Sequence[str]
    seeds: Sequence[int]
    images: int


def append_evaluation(path: Path, record: Evaluation) -> None:
    """Append `record` as one line and return once it is on disk; the file and its folder are made if missing.

    Call it before the evaluation, so that a crash can count one too many but never one too few. After a crash
    that tore the last line, the record starts on a line of its own and the torn line stays for
    `count_evaluations` to report. ValueError for a time that is not ISO 8601; OSError where the disk does not
    take the line.
    """
    datetime.fromisoformat(record.time)
    fields = asdict(record) | {"arms": list(record.arms), "seeds": list(record.seeds)}
    line = json.dumps(fields, ensure_ascii=False, allow_nan=False).encode() + b"\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    is_new = not path.exists()
    handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        size = os.fstat(handle).st_size
        if size and os.pread(handle, 1, size - 1) != b"\n":
            line = b"\n" + line
        # One write call: other processes that append see all of the line or nothing of it.
        written = os.write(handle, line)
        if written != len(line):
            raise OSError(f"{path}: only {written} of {len(line)} bytes of an evaluation could be written")
        os.fsync(handle)
    finally:
        os.close(handle)
    if is_new:
        _sync_folder(path.parent)


def count_evaluations(path: Path, *, expansion: str | None = None, split: str | None = "test") -> int:
    """How many logged evaluations match; None matches all. 0 where the file does not exist.

    DamagedData, naming file and line, for a line that is not an evaluation, whether it would match or not.
    """
    return sum(
        (expansion is None or record["expansion"] == expansion) and (split is None or record["split"] == split)
        for record in _read_records(path)
    )


def _read_records(path: Path) -> Iterator[dict[str, Any]]:
    if not path.exists():
        return
    for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
        # Two processes that both found a torn line both start a new one, which leaves an empty line.
        if not line:
            continue
        try:
            record = parse_json(line)
        except ValueError as error:
            raise DamagedData(
                f"{path}, line {number}: not JSON (an append was cut short, or the file was edited); "
                "complete the line by hand, it stands for an evaluation."
            ) from error
        if not isinstance(record, dict) or not {"expansion", "split"} <= record.keys():
            raise DamagedData(f"{path}, line {number}: not an evaluation, it lacks 'expansion' and 'split'.")
        yield record


def _sync_folder(folder: Path) -> None:
    """Make a new file's name survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
