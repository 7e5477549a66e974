"""The most memory that this process, and the workers that it started, held since a moment.

Linux keeps the mark of each process in /proc and lets a process reset its own. Elsewhere nothing is known, and nothing
is guessed: getrusage's mark never falls, so in a process of many steps it would show the largest step for all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

OWN = Path("/proc/self")
RESET = "5"  # what Linux wants to read in clear_refs to reset the mark
MARK = "VmHWM:"  # kilobytes follow, as Linux calls 1,024 bytes

_largest = 0  # bytes of the largest group of workers so far


@dataclass
class Peaks:
    """Bytes; None where they are not known. `workers` is the sum over the processes of the largest group of workers.

    Each worker counts the pages that it shares with others, so the sum is an upper bound.
    """

    process: int | None = None
    workers: int | None = None


@contextmanager
def watch_memory(own: Path = OWN) -> Iterator[Peaks]:
    """Fill in the peaks of the block when it ends, in whatever way."""
    global _largest
    known, before, found = _reset(own), _largest, Peaks()
    _largest = 0
    try:
        yield found
    finally:
        found.process = read_mark(own) if known else None
        found.workers = _largest or None
        _largest = max(before, _largest)


def note_workers(peaks: Mapping[int, int]) -> None:
    """A group of workers has ended: the largest marks that each of them reported, by process id."""
    global _largest
    _largest = max(_largest, sum(peaks.values()))


def read_mark(own: Path = OWN) -> int | None:
    """Bytes that this process held at most since its start, or since its mark was reset; None if that is not known."""
    try:
        lines = (own / "status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    found = [line.removeprefix(MARK).split() for line in lines if line.startswith(MARK)]
    return int(found[0][0]) * 1024 if found else None


def _reset(own: Path) -> bool:
    file = own / "clear_refs"
    if not file.exists():
        return False
    try:
        file.write_text(RESET)
    except OSError:  # a sandbox may mount /proc read-only
        return False
    return True
