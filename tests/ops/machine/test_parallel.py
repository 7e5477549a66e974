"""Work in one process against the same work in two: results, errors, threads and leftovers.

The functions handed to workers are ones that a fresh interpreter can import: `shared` itself and `math`'s.
"""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import torch

import ops.machine.parallel
from ops.machine.parallel import (
    CORES,
    OMP,
    available_cores,
    cgroup_quota,
    count_threads,
    limit_libraries,
    map_processes,
    share_cores,
    shared,
    start_threads,
    use_threads,
    worth_workers,
)

ROOT = Path(__file__).parents[3]
SHARE = {"a": 1, "b": [2, 3], "c": None}


@pytest.fixture(autouse=True)
def threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    before = torch.get_num_threads()
    for name in (*ops.machine.parallel.THREAD_COUNTS, CORES):  # restored after the test
        monkeypatch.setenv(name, os.environ[name])
    yield
    torch.set_num_threads(before)


def count_torch_threads(task: int) -> int:
    return torch.get_num_threads()


@pytest.mark.parametrize("workers", [1, 2])
def test_shared_objects_reach_every_task(workers: int) -> None:
    results = list(map_processes(shared, ["a", "b", "c", "a"], workers=workers, share=SHARE, uses_torch=False))
    assert sorted(map(str, results)) == ["1", "1", "None", "[2, 3]"]
    assert ops.machine.parallel._shared == {}


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
    assert ops.machine.parallel._shared == {}


def test_a_worker_that_is_killed_is_told_and_leaves_none_behind() -> None:
    """As by the kernel when memory runs out: each kills itself."""
    before = set(multiprocessing.active_children())
    with pytest.raises(ChildProcessError, match="ended from outside, as the system does when memory runs out"):
        list(map_processes(signal.raise_signal, [signal.SIGKILL] * 2, workers=2, share={}, uses_torch=False))
    assert set(multiprocessing.active_children()) <= before


def test_results_before_a_failing_task_are_kept_by_the_caller() -> None:
    results = []
    with pytest.raises(ValueError):
        for result in map_processes(math.sqrt, [4.0, -1.0, 9.0], workers=1, share={}):
            results.append(result)
    assert results == [2.0]


def test_task_here_runs_on_one_thread_and_the_count_is_restored() -> None:
    torch.set_num_threads(3)
    assert list(map_processes(count_torch_threads, [0, 1], workers=1, share={})) == [1, 1]
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
    assert ops.machine.parallel._shared == {}


def test_work_without_torch_leaves_the_thread_count_alone() -> None:
    torch.set_num_threads(3)
    assert list(map_processes(count_torch_threads, [0], workers=1, share={}, uses_torch=False)) == [3]


def test_no_tasks_start_no_worker() -> None:
    assert list(map_processes(shared, [], workers=2, share=SHARE)) == []
    assert ops.machine.parallel._shared == {}


def test_one_task_runs_in_this_process_for_any_number_of_workers() -> None:
    results = list(map_processes(lambda task: os.getpid(), [0], workers=8, share={}, uses_torch=False))
    assert results == [os.getpid()]


def test_threads_are_one_per_core_or_the_wanted_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ops.machine.parallel, "available_cores", lambda: 8)
    torch.set_num_threads(3)
    with use_threads(2):
        assert count_threads() == 2
        assert list(map_processes(count_side_by_side, [0], workers=1, share={})) == [1]  # as in a worker of its own
        assert count_threads() == 2
    assert count_threads() == 8
    assert torch.get_num_threads() == 1


def count_side_by_side(task: int) -> int:
    return count_threads()


def test_started_threads_and_their_caller_use_single_threaded_kernels() -> None:
    torch.set_num_threads(3)
    with use_threads(4):
        torch.set_num_threads(3)
        with start_threads() as pool:
            barrier = threading.Barrier(4, timeout=30)  # passes only if four run at a time

            def meet(task: int) -> int:
                barrier.wait()
                return torch.get_num_threads()

            assert list(pool.map(meet, range(8))) == [1] * 8
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 3


def test_cores_are_the_minimum_of_affinity_and_the_users_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    monkeypatch.setattr(ops.machine.parallel, "cgroup_quota", lambda root, own: None)
    monkeypatch.delenv(CORES, raising=False)
    for value, cores in ((None, 8), ("3", 3), ("20", 8), ("4,2", 4), ("0", 8), ("", 8), ("many", 8), ("1", 1)):
        monkeypatch.delenv(OMP, raising=False) if value is None else monkeypatch.setenv(OMP, value)
        assert available_cores() == cores, value
    monkeypatch.setattr(ops.machine.parallel, "cgroup_quota", lambda root, own: 1.5)
    monkeypatch.setenv(OMP, "4")
    assert available_cores() == 2
    assert [share_cores(wanted) for wanted in (None, 0, 1, 2, 5)] == [2, 2, 1, 2, 2]


def test_the_users_limit_survives_limit_libraries_and_child_processes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    monkeypatch.delenv(CORES, raising=False)
    monkeypatch.setenv("POLARS_MAX_THREADS", "5")
    for name in set(ops.machine.parallel.THREAD_COUNTS) - {OMP}:
        monkeypatch.setenv(name, "5")
    monkeypatch.setenv(OMP, "3")
    for _ in range(2):  # the second as in a process that was started from here
        limit_libraries()
        assert {os.environ[name] for name in ops.machine.parallel.THREAD_COUNTS} == {"1"}
        assert available_cores() == 3
    monkeypatch.setenv(OMP, "2")  # a new value from the user counts
    assert available_cores() == 2
    monkeypatch.delenv(OMP)
    limit_libraries()
    assert available_cores() == 8


def test_quotas_of_control_groups_count_up_to_the_root(tmp_path: Path) -> None:
    own, root = tmp_path / "cgroup", tmp_path / "mount"
    (root / "a" / "b").mkdir(parents=True)
    assert cgroup_quota(root, own) is None
    own.write_text("1:cpu:/old\n0::/a/b\n")
    assert cgroup_quota(root, own) is None
    for folder, text, cores in (("a/b", "max 100000", None), ("a", "150000 100000", 1.5), (".", "50000 100000", 0.5)):
        (root / folder / "cpu.max").write_text(text + "\n")
        assert cgroup_quota(root, own) == cores
    own.write_text("0::/\n")  # a container sees its own group as the root
    assert cgroup_quota(root, own) == 0.5


KERNELS = {
    "torch": """
        import torch
        matrix, images = torch.randn(1500, 1500), torch.randn(64, 32, 32, 32)
        network = torch.nn.Conv2d(32, 32, 3)
        def work():
            torch.mm(matrix, matrix), matrix.exp().sum(), torch.linalg.eigh(matrix[:300, :300])
            with torch.autocast("cpu", torch.bfloat16):
                network(images).sum().backward()
        """,
    "numpy and scipy": """
        import numpy as np, scipy.linalg
        matrix = np.random.default_rng(0).standard_normal((1200, 1200))
        def work():
            matrix @ matrix, np.linalg.eigvalsh(matrix[:400, :400]), scipy.linalg.lu(matrix)
        """,
    "onnxruntime": """
        from benchmarks.parts.utilisation import measure_matmul
        def work():
            measure_matmul()
        """,
    "polars": """
        import numpy as np, polars as pl
        frame = pl.DataFrame({"group": np.arange(2_000_000) % 1000, "value": np.arange(2_000_000.0)})
        def work():
            frame.lazy().group_by("group").agg(pl.col("value").sum()).sort("value").collect()
        """,
    "pyarrow": """
        import numpy as np, pyarrow as pa
        table = pa.table({"group": np.arange(2_000_000) % 1000, "value": np.arange(2_000_000.0)})
        def work():
            table.group_by("group").aggregate([("value", "sum")]), table.sort_by("value")
        """,
}
WATCH = """
import os
os.sched_setaffinity(0, range(os.cpu_count()))
{before}
import json, os, sys, textwrap, time
import psutil, pipelines
exec(textwrap.dedent({kernel!r}))
process, end = psutil.Process(), time.process_time() + 0.5  # CPU time of all threads
before = {{thread.id: thread.user_time for thread in process.threads()}}
while time.process_time() < end:
    work()
spent = {{thread.id: thread.user_time - before.get(thread.id, 0.0) for thread in process.threads()}}
print(json.dumps(sorted(spent.values(), reverse=True)))
"""


def measure_threads(kernel: str, before: str = "") -> list[float]:
    """CPU seconds of each thread of a fresh process on all cores, the busiest first."""
    limits = {*ops.machine.parallel.THREAD_COUNTS, CORES}
    environment = {name: value for name, value in os.environ.items() if name not in limits}
    script = WATCH.format(kernel=KERNELS[kernel], before=before)
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    spent: list[float] = json.loads(done.stdout)
    return spent


@pytest.mark.parametrize("kernel", KERNELS)
def test_kernels_compute_on_one_thread(kernel: str) -> None:
    """A second thread that computes, or waits in a loop, uses CPU time.

    Arrow's pool has one thread, for which the one that calls waits asleep.
    """
    spent = measure_threads(kernel)
    assert sum(spent[2 if kernel == "pyarrow" else 1 :]) <= 0.1 * spent[0]


def test_loaded_libraries_compute_on_one_thread_too() -> None:
    for kernel, before in (("numpy and scipy", "import scipy.linalg"), ("torch", "import torch")):
        busiest, *others = measure_threads(kernel, before)
        assert sum(others) <= 0.1 * busiest, kernel


@pytest.mark.skipif(os.cpu_count() == 1, reason="on one core no library starts a second thread")
def test_a_second_thread_would_be_found() -> None:
    busiest, *others = measure_threads("numpy and scipy", "import sys; sys.modules['pipelines'] = sys")
    assert sum(others) > 0.2 * busiest


@pytest.mark.parametrize(("work", "expected"), [(0, 1), (99, 1), (100, 1), (250, 2), (10_000, 4)])
def test_the_number_of_workers_follows_the_work(work: float, expected: int) -> None:
    assert worth_workers(4, work, 100) == expected


@pytest.mark.parametrize("uses_torch", [False, True])
def test_workers_end_with_a_parent_that_is_killed(uses_torch: bool) -> None:
    """They are in the middle of a task; without `follow_parent` each would finish it and then wait forever.

    Those that use torch are forked from a server, which ends as well.
    """
    script = f"""
import time
from ops.machine.parallel import map_processes
list(map_processes(time.sleep, [600, 600], workers=2, share={{}}, uses_torch={uses_torch}))
"""
    parent = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT)
    watched = psutil.Process(parent.pid)
    deadline = time.monotonic() + 60
    helpers = 2 if uses_torch else 1  # the resource tracker, and the server
    while len(workers := watched.children(recursive=True)) < 2 + helpers:
        assert time.monotonic() < deadline and parent.poll() is None
        time.sleep(0.05)
    time.sleep(1)  # until they sleep in their tasks
    parent.kill()
    parent.wait()
    _, left = psutil.wait_procs(workers, timeout=20)
    assert left == []
