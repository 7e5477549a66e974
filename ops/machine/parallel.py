"""Use several cores with single-threaded kernels, each in its own thread or process.

A kernel with its own threads waits for them in spin loops. As soon as other programs need the cores, it falls to a
twentieth of its share, and its sums depend on the number of threads. So this module sets the libraries to one thread
each, counts the cores that may be used, and starts threads and processes. Results must not depend on their number.
The module does not know images or networks.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Set
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, TypeVar

from ops.machine.peak_memory import note_workers, read_mark

Task = TypeVar("Task")
Result = TypeVar("Result")

OMP, CORES = "OMP_NUM_THREADS", "GROWSET_CORES"
# Variables that libraries read when they are loaded: OpenMP (torch, oneDNN, Arrow), BLAS, Polars, Rust's tokenizers.
THREAD_COUNTS = (
    OMP,
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "POLARS_MAX_THREADS",
    "RAYON_NUM_THREADS",
)
PRELOADED = ["torch", "torch._dynamo"]  # the latter is imported by the first optimizer
KILLED = "a worker process was ended from outside, as the system does when memory runs out"
CGROUPS, OWN_CGROUP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")

_shared: dict[str, Any] = {}
_threads: int | None = None  # the number of threads that this process computes on; None: one per core


def limit_libraries() -> None:
    """Set every library to one thread, in this process and in the processes that it starts.

    Call it before the libraries are loaded. If they are loaded already, torch, BLAS and Arrow can still be set; Polars
    cannot. The old value of OMP_NUM_THREADS, the number of cores that the user allows, is kept in GROWSET_CORES.
    """
    os.environ[CORES] = _allowed() or ""
    os.environ.update(dict.fromkeys(THREAD_COUNTS, "1"))
    if "torch" in sys.modules:
        _set_torch_threads(1)
    if "numpy" in sys.modules:
        from threadpoolctl import threadpool_limits

        threadpool_limits(1, user_api="blas")
    if "pyarrow" in sys.modules:
        import pyarrow

        pyarrow.set_cpu_count(1)


def available_cores() -> int:
    """Cores that this process may use: the minimum of its affinity, its control group's quota and OMP_NUM_THREADS."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    allowed = (_allowed() or "").split(",")[0].strip()
    limits = [int(allowed)] if allowed.isdigit() and int(allowed) else []  # like libraries, ignore other values
    if (quota := cgroup_quota(CGROUPS, OWN_CGROUP)) is not None:
        limits.append(math.ceil(quota))
    return min([cores, *limits])


def share_cores(wanted: int | None) -> int:
    """`wanted` cores, at most the available ones; None and 0 mean all."""
    return min(wanted or available_cores(), available_cores())


def _allowed() -> str | None:
    """OMP_NUM_THREADS as the user set it, for this process or an ancestor."""
    value = os.environ.get(OMP)
    return os.environ[CORES] if value == "1" and CORES in os.environ else value


def cgroup_quota(root: Path, own: Path) -> float | None:
    """How many cores this process's control groups (version 2) allow; None if they set no limit.

    root: the mount point of the control groups. own: the file that names this process's group.
    """
    try:
        lines = own.read_text().splitlines()
    except OSError:  # not Linux
        return None
    names = [line.removeprefix("0::/") for line in lines if line.startswith("0::/")]
    if not names:
        return None
    quotas = []
    for folder in [root, *(root / part for part in reversed(Path(names[0]).parents)), root / names[0]]:
        file = folder / "cpu.max"
        if file.is_file():
            quota, period = file.read_text().split()
            if quota != "max":
                quotas.append(int(quota) / int(period))
    return min(quotas, default=None)


@contextmanager
def use_threads(count: int) -> Iterator[None]:
    """Inside the block this process computes on `count` threads, each with single-threaded libraries."""
    global _threads
    limit_libraries()
    before, _threads = _threads, max(1, count)
    try:
        yield
    finally:
        _threads = before


def count_threads() -> int:
    """The number of threads that `start_threads` would start."""
    return _threads or available_cores()


@contextmanager
def start_threads() -> Iterator[ThreadPoolExecutor]:
    """A pool of `count_threads()` threads; these and the calling one use single-threaded kernels.

    Results must not depend on which thread computes them.
    """
    before = _set_torch_threads(1)
    try:
        with ThreadPoolExecutor(count_threads(), initializer=_set_torch_threads, initargs=(1,)) as pool:
            yield pool
    finally:
        _set_torch_threads(before)


def shared(name: str) -> Any:
    """The object that the parent gave to every worker under `name` (inside a worker only)."""
    return _shared[name]


def worth_workers(workers: int, work: float, worker_share: float) -> int:
    """At most `workers`, and so few that each has `worker_share` of the work: starting a process takes seconds."""
    return max(1, min(workers, int(work // worker_share)))


def map_processes(
    work: Callable[[Task], Result],
    tasks: Iterable[Task],
    *,
    workers: int,
    share: dict[str, Any],
    uses_torch: bool = True,
) -> Iterator[Result]:
    """`work(task)` for each task in up to `workers` processes; results come as they finish, in any order.

    `work` must be importable; `share` is sent once to each worker. A task computes on one thread, even if there is
    only one worker and tasks run in this process: results must not depend on the number of workers. An exception in
    a task is raised here, after the pool has shut down; a worker that dies is a ChildProcessError. With
    `uses_torch=False` workers do not import torch.
    """
    pending = list(tasks)
    workers = max(1, min(workers, len(pending)))
    if workers == 1:
        yield from _map_here(work, pending, share, uses_torch)
        return
    others = set(multiprocessing.active_children())
    with _block_terminal_signals():  # multiprocessing starts a helper process here, which outlives the pool
        given = (share, uses_torch, dict(os.environ))
        started = ProcessPoolExecutor(workers, find_context(uses_torch=uses_torch), _start_worker, given)
    peaks: dict[int, int] = {}
    with started as pool:
        try:
            with _block_terminal_signals():
                futures = [pool.submit(_work_measured, work, task) for task in pending]
            for future in as_completed(futures):
                if (fault := future.exception()) is not None:
                    break
                result, number, peak = future.result()
                peaks[number] = max(peak, peaks.get(number, 0))
                yield result
            else:
                note_workers(peaks)
                return
        except BaseException as error:  # stopped by a signal, or the caller has closed this generator
            _kill_all_but(others)
            if isinstance(error, BrokenProcessPool):  # while tasks were handed out
                raise ChildProcessError(KILLED) from error
            raise
        if isinstance(fault, BrokenProcessPool):
            _kill_all_but(others)  # the pool waits for ever for one that it started while another died (Python 3.11)
            raise ChildProcessError(KILLED) from fault
        pool.shutdown(wait=True, cancel_futures=True)
        raise fault


def _kill_all_but(others: Set[BaseProcess]) -> None:
    """Kill the worker processes that are not among `others`."""
    for worker in set(multiprocessing.active_children()) - others:
        worker.kill()


def _work_measured(work: Callable[[Task], Result], task: Task) -> tuple[Result, int, int]:
    """In a worker: the result, the worker's process id, and the most memory it has held."""
    result = work(task)
    return result, os.getpid(), read_mark() or 0


@contextmanager
def _block_terminal_signals() -> Iterator[None]:
    """Processes started in the block never receive SIGINT and SIGHUP; the parent receives them and ends its children.

    A signal to the parent during the block is delivered when the block ends.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _map_here(
    work: Callable[[Task], Result], tasks: Iterable[Task], share: dict[str, Any], uses_torch: bool
) -> Iterator[Result]:
    global _threads
    _shared.update(share)
    before, _threads = _threads, 1
    torch_threads = _set_torch_threads(1) if uses_torch else 0
    try:
        for task in tasks:
            yield work(task)
    finally:
        _threads = before
        if uses_torch:
            _set_torch_threads(torch_threads)
        for name in share:
            _shared.pop(name)


def _set_torch_threads(threads: int) -> int:
    """Set torch's thread count; returns the old one."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    return before


def follow_parent() -> None:
    """End this process when its parent has died, by any cause.

    Otherwise an idle worker would wait for tasks forever, and a busy one would write into the staging folder of a
    process that resumes the work. It has no effect in a process that `multiprocessing` did not start.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def wait_and_end() -> None:
        parent.join()  # waits on a pipe that the kernel closes with the parent: no polling, no race
        os._exit(1)

    threading.Thread(target=wait_and_end, name="follow-parent", daemon=True).start()


def find_context(*, uses_torch: bool) -> BaseContext:
    """How worker processes start. None is forked from this process, whose locks and threads it would inherit.

    On Linux those that use torch are forked from a process that has imported torch and done nothing else. It is started
    with the first of them, and importing takes each other one no time. The others, and all elsewhere, are spawned.
    """
    if not uses_torch or sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


def _start_worker(share: dict[str, Any], uses_torch: bool, environment: dict[str, str]) -> None:
    global _threads
    os.environ.clear()  # a process that is forked later than the server has the variables of that time
    os.environ.update(environment)
    follow_parent()
    limit_libraries()
    _threads = 1
    if uses_torch:
        _set_torch_threads(1)
    _shared.update(share)
