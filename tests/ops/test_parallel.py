"""Work in one process against the same work in two: results, errors, threads, and what is left behind.

The functions handed to workers are ones that a fresh interpreter can import: `shared` itself and `math`'s.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import torch

import ops.parallel
from ops.parallel import available_cores, map_processes, shared, use_threads, worth_workers

SHARE = {"a": 1, "b": [2, 3], "c": None}


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def count_threads(task: int) -> int:
    return torch.get_num_threads()


@pytest.mark.parametrize("workers", [1, 2])
def test_what_was_shared_is_there_for_every_task(workers: int) -> None:
    results = list(map_processes(shared, ["a", "b", "c", "a"], workers=workers, share=SHARE, uses_torch=False))
    assert sorted(map(str, results)) == ["1", "1", "None", "[2, 3]"]
    assert ops.parallel._shared == {}


def test_results_are_equal_for_one_and_two_workers() -> None:
    one, two = (
        sorted(map_processes(math.lgamma, [0.5, 1.5, 2.5, 7.1], workers=workers, share={}, uses_torch=False))
        for workers in (1, 2)
    )
    assert one == two == sorted(map(math.lgamma, [0.5, 1.5, 2.5, 7.1]))


@pytest.mark.parametrize("workers", [1, 2])
def test_exception_in_a_task_is_raised_here(workers: int) -> None:
    results = map_processes(math.sqrt, [-1.0, -2.0], workers=workers, share=SHARE, uses_torch=False)
    with pytest.raises(ValueError, match="math domain error|nonnegative"):
        list(results)
    assert ops.parallel._shared == {}


def test_results_before_a_failing_task_are_kept_by_the_caller() -> None:
    results = []
    with pytest.raises(ValueError):
        for result in map_processes(math.sqrt, [4.0, -1.0, 9.0], workers=1, share={}):
            results.append(result)
    assert results == [2.0]


def test_task_here_runs_on_one_thread_and_the_count_is_restored() -> None:
    torch.set_num_threads(3)
    assert list(map_processes(count_threads, [0, 1], workers=1, share={})) == [1, 1]
    assert torch.get_num_threads() == 3


def test_thread_count_is_restored_after_an_exception() -> None:
    torch.set_num_threads(3)
    with pytest.raises(ValueError):
        list(map_processes(math.sqrt, [-1.0], workers=1, share={}))
    assert torch.get_num_threads() == 3


def test_thread_count_is_restored_and_shared_removed_when_the_caller_stops_early() -> None:
    torch.set_num_threads(3)
    results = map_processes(shared, ["a", "b"], workers=1, share=SHARE)
    assert next(results) == 1
    assert torch.get_num_threads() == 1
    results.close()  # type: ignore[attr-defined]
    assert torch.get_num_threads() == 3
    assert ops.parallel._shared == {}


def test_work_without_torch_leaves_the_thread_count_alone() -> None:
    torch.set_num_threads(3)
    assert list(map_processes(count_threads, [0], workers=1, share={}, uses_torch=False)) == [3]


def test_no_tasks_start_no_worker() -> None:
    assert list(map_processes(shared, [], workers=2, share=SHARE)) == []
    assert ops.parallel._shared == {}


def test_one_task_runs_here_whatever_the_workers() -> None:
    results = list(map_processes(lambda task: os.getpid(), [0], workers=8, share={}, uses_torch=False))
    assert results == [os.getpid()]


def test_process_gets_its_share_of_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ops.parallel, "available_cores", lambda: 8)
    assert [use_threads(processes) for processes in (1, 2, 3, 8, 20)] == [8, 4, 2, 1, 1]
    assert torch.get_num_threads() == 1


def test_cores_are_those_this_process_may_use() -> None:
    assert 1 <= available_cores() <= (os.cpu_count() or 1)


@pytest.mark.parametrize(("work", "expected"), [(0, 1), (99, 1), (100, 1), (250, 2), (10_000, 4)])
def test_only_as_many_workers_as_have_enough_to_do(work: float, expected: int) -> None:
    assert worth_workers(4, work, 100) == expected


def test_workers_end_with_a_parent_that_is_killed() -> None:
    """They are in the middle of a task; without the watch each would go on with it and then wait for ever."""
    script = """
import time
from ops.parallel import map_processes
list(map_processes(time.sleep, [600, 600], workers=2, share={}, uses_torch=False))
"""
    parent = subprocess.Popen([sys.executable, "-c", script], cwd=Path(__file__).parents[2])
    watched = psutil.Process(parent.pid)
    deadline = time.monotonic() + 60
    while len(workers := [p for p in watched.children() if "--multiprocessing-fork" in p.cmdline()]) < 2:
        assert time.monotonic() < deadline and parent.poll() is None
        time.sleep(0.05)
    time.sleep(1)  # until they sleep in their tasks
    parent.kill()
    parent.wait()
    _, left = psutil.wait_procs(workers, timeout=20)
    assert left == []
