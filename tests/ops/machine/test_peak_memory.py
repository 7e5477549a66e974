"""The peak of a block, of a worker group, and what is known where /proc is absent or cannot be written."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from ops.machine.parallel import map_processes
from ops.machine.peak_memory import note_workers, read_mark, watch_memory

MEGABYTE = 2**20
linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux keeps marks in /proc")


def fill(megabytes: int) -> float:
    return float(np.ones(megabytes * MEGABYTE, np.uint8).sum())


@linux
def test_each_block_has_its_own_peak() -> None:
    """A process's mark never falls by itself, so that a small step would show the peak of a large one before it."""
    with watch_memory() as large:
        fill(400)
    with watch_memory() as small:
        fill(1)
    assert large.process is not None and small.process is not None
    assert large.process - small.process > 300 * MEGABYTE
    assert small.workers is None


@linux
def test_workers_are_counted_together_and_the_largest_group_counts() -> None:
    with watch_memory() as peaks:
        note_workers({1: 100, 2: 200})
        note_workers({3: 50})
        with watch_memory() as inner:
            note_workers({4: 500})
        assert inner.workers == 500
    assert peaks.workers == 500
    with watch_memory() as nothing:
        pass
    assert nothing.workers is None


@linux
def test_workers_report_their_marks() -> None:
    with watch_memory() as peaks:
        assert list(map_processes(fill, [64, 64], workers=2, share={}, uses_torch=False)) == [64.0 * MEGABYTE] * 2
    assert peaks.workers is not None and peaks.workers > 64 * MEGABYTE


def test_without_proc_nothing_is_claimed(tmp_path: Path) -> None:
    with watch_memory(tmp_path) as absent:
        fill(1)
    assert absent.process is None and read_mark(tmp_path) is None


def test_where_the_mark_cannot_be_reset_nothing_is_claimed(tmp_path: Path) -> None:
    (tmp_path / "status").write_text("VmHWM:\t 100 kB\n")
    (tmp_path / "clear_refs").mkdir()  # which not even root can write to
    with watch_memory(tmp_path) as peaks:
        pass
    assert peaks.process is None


@pytest.mark.parametrize(("lines", "known"), [(["VmRSS: 7 kB", "VmHWM:\t 100 kB"], 102_400), (["VmRSS: 7 kB"], None)])
def test_the_mark_is_read_in_bytes(tmp_path: Path, lines: Iterable[str], known: int | None) -> None:
    (tmp_path / "status").write_text("\n".join(lines))
    assert read_mark(tmp_path) == known
