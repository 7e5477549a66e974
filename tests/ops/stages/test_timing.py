"""Seconds of a stage: interrupted calls count, a finished one leaves nothing behind."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from ops.files.storage import read_json
from ops.stages.timing import SPENT, time_work


def test_seconds_of_interrupted_calls_are_added(tmp_path: Path) -> None:
    clock = map(float, itertools.count(0, 10))
    for spent in (10.0, 20.0):
        with pytest.raises(KeyboardInterrupt), time_work(tmp_path, lambda: next(clock)):
            raise KeyboardInterrupt
        assert read_json(tmp_path / SPENT) == {"seconds": spent}
    with time_work(tmp_path, lambda: next(clock)) as count:
        pass
    assert count() == 30.0


def test_a_first_call_counts_its_own_seconds(tmp_path: Path) -> None:
    clock = map(float, itertools.count(0, 10))
    with time_work(tmp_path, lambda: next(clock)) as count:
        assert [count(), count()] == [10.0, 20.0]
    assert not (tmp_path / SPENT).exists()


def test_a_folder_that_takes_no_file_does_not_hide_what_stopped_the_work(tmp_path: Path) -> None:
    (tmp_path / "scratch").write_text("no folder")
    with pytest.raises(KeyboardInterrupt), time_work(tmp_path / "scratch", lambda: 0.0):
        raise KeyboardInterrupt
