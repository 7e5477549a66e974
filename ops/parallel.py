"""One process per core, one thread per process: how Growset uses a machine.

torch with more OpenMP threads than free cores runs up to a hundred times slower, so a process that
computes takes its thread count from here and nowhere else.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from typing import Any, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")

_shared: dict[str, Any] = {}


def available_cores() -> int:
    """Cores this process may use: its CPU affinity."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def use_threads(processes: int = 1) -> int:
    """Give this process its share of the cores when `processes` compute side by side; returns the share."""
    import torch

    threads = max(1, available_cores() // processes)
    torch.set_num_threads(threads)
    return threads


@contextmanager
def start_threads() -> Iterator[ThreadPoolExecutor]:
    """As many threads as torch has here, each computing alone: none waits for the others at every small product.

    What they compute must not depend on which of them does it; results are those of one thread.
    """
    import torch

    threads = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            yield pool
    finally:
        torch.set_num_threads(threads)


def shared(name: str) -> Any:
    """What the parent handed to every worker under `name` (inside a worker only)."""
    return _shared[name]


def worth_workers(workers: int, work: float, worker_share: float) -> int:
    """Of `workers` processes only as many as have `worker_share` of the work each: starting one takes seconds."""
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

    `work` must be importable; `share` is sent once to each worker. A task computes on one thread, also when
    there is one worker and it runs here: results must not depend on how many ran side by side. An exception in
    a task is raised here, after the pool has been shut down. `uses_torch=False` spares the workers torch's import.
    """
    pending = list(tasks)
    workers = max(1, min(workers, len(pending)))
    if workers == 1:
        yield from _map_here(work, pending, share, uses_torch)
        return
    # Forked workers inherit locks and thread pools of the libraries loaded here; spawned ones do not.
    context = multiprocessing.get_context("spawn")
    others = set(multiprocessing.active_children())
    with _deaf_children():  # multiprocessing starts a process of its own here, which outlives the pool
        started = ProcessPoolExecutor(workers, context, _start_worker, (share, uses_torch))
    with started as pool:
        try:
            with _deaf_children():
                futures = [pool.submit(work, task) for task in pending]
            for future in as_completed(futures):
                yield future.result()
        except Exception:
            pool.shutdown(wait=True, cancel_futures=True)
            raise
        except BaseException:  # stopped by a signal, or nobody wants the results any more
            for worker in set(multiprocessing.active_children()) - others:
                worker.kill()
            raise


@contextmanager
def _deaf_children() -> Iterator[None]:
    """Processes started within never hear Ctrl-C or that the terminal was closed: the one that starts them does, and
    ends them. A signal that comes meanwhile waits until the block ends."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _map_here(
    work: Callable[[Task], Result], tasks: Iterable[Task], share: dict[str, Any], uses_torch: bool
) -> Iterator[Result]:
    _shared.update(share)
    threads = _set_threads(1) if uses_torch else 0
    try:
        for task in tasks:
            yield work(task)
    finally:
        if uses_torch:
            _set_threads(threads)
        for name in share:
            _shared.pop(name)


def _set_threads(threads: int) -> int:
    """Set torch's thread count; returns the one before."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    return before


def follow_parent() -> None:
    """End this process when the one that started it has died, whatever killed it.

    A worker would otherwise wait for tasks for ever, and one that is still busy would write into the staging folder
    of whoever resumes the work. Nothing happens in a process that `multiprocessing` did not start.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def wait_and_end() -> None:
        parent.join()  # a pipe that the kernel closes with the parent: no polling, no race with its death
        os._exit(1)

    threading.Thread(target=wait_and_end, name="follow-parent", daemon=True).start()


def _start_worker(share: dict[str, Any], uses_torch: bool) -> None:
    follow_parent()
    if uses_torch:
        _set_threads(1)
    _shared.update(share)
