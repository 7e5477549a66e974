"""A code server whose inner process was killed is started again as a whole."""

import itertools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import psutil
import pytest

from pipelines import code_server
from pipelines.code_server import INNER, LONGEST, OUTER, Absence, keep_whole

PAUSE = 0.01  # s
# A process whose child sleeps; the last word tells the watch which is which.
PROGRAM = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)", sys.argv[2]])
time.sleep(100)
"""


@pytest.mark.parametrize(
    ("looks", "ends"),
    [
        ([(1, False), (1, False), (1, False)], [False, False, False]),  # it starts
        ([(1, True), (1, False), (1, False)], [False, False, True]),
        ([(1, True), (1, False), (1, True), (1, False)], [False, False, False, False]),  # a reload
        ([(1, True), (1, False), (2, False), (2, False)], [False, False, False, False]),  # another one starts
        ([(2, False), (2, True), (2, False), (2, False)], [False, False, False, True]),
    ],
)
def test_two_looks_without_the_inner_process_are_a_loss(looks: list[tuple[int, bool]], ends: list[bool]) -> None:
    absence = Absence()
    assert [absence.observe(outer, has_inner) for outer, has_inner in looks] == ends


@contextmanager
def start_server() -> Iterator[tuple[psutil.Process, psutil.Process]]:
    """Processes with the command lines of the outer and the inner one."""
    started = subprocess.Popen([sys.executable, "-c", PROGRAM, OUTER, INNER])
    outer = psutil.Process(started.pid)
    deadline = time.monotonic() + 30
    while not outer.children() and time.monotonic() < deadline:
        time.sleep(PAUSE)
    (inner,) = outer.children()
    try:
        yield outer, inner
    finally:
        for process in (inner, started):
            try:
                process.kill()
            except psutil.NoSuchProcess:
                continue
        started.wait()


@contextmanager
def watch(
    give_up: Callable[[], None] = pytest.fail, clock: Callable[[], float] = time.monotonic
) -> Iterator[threading.Thread]:
    ended = threading.Event()
    thread = threading.Thread(target=keep_whole, args=(psutil.Process(), ended, give_up, PAUSE, clock))
    thread.start()
    try:
        yield thread
    finally:
        ended.set()
        thread.join()


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set when the watch has seen an inner process."""
    event, find = threading.Event(), code_server._find_children

    def find_and_tell(process: psutil.Process, word: str) -> list[psutil.Process]:
        found = find(process, word)
        if found and word == INNER:
            event.set()
        return found

    monkeypatch.setattr(code_server, "_find_children", find_and_tell)
    return event


def test_the_outer_process_ends_when_the_inner_one_was_killed(served: threading.Event) -> None:
    with start_server() as (outer, inner), watch():
        assert served.wait(30) and outer.status() != psutil.STATUS_ZOMBIE
        inner.kill()
        deadline = time.monotonic() + 30
        while outer.status() != psutil.STATUS_ZOMBIE and time.monotonic() < deadline:
            time.sleep(PAUSE)
        assert outer.status() == psutil.STATUS_ZOMBIE


def test_an_outer_process_that_has_ended_meanwhile_does_not_end_the_watch(
    served: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = threading.Event()

    def kill(process: psutil.Process) -> None:
        late.set()
        raise psutil.NoSuchProcess(process.pid)

    with start_server() as (_, inner), watch() as thread:
        assert served.wait(30)
        with monkeypatch.context() as patched:
            patched.setattr(psutil.Process, "kill", kill)
            os.kill(inner.pid, signal.SIGKILL)
            assert late.wait(30)
        thread.join(20 * PAUSE)
        assert thread.is_alive()


def test_a_server_that_ends_again_and_again_is_given_up(served: threading.Event) -> None:
    given_up = threading.Event()
    with watch(given_up.set) as thread:
        for number in range(4):
            served.clear()
            with start_server() as (outer, inner):
                assert served.wait(30)
                inner.kill()
                deadline = time.monotonic() + 30
                while outer.status() != psutil.STATUS_ZOMBIE and thread.is_alive() and time.monotonic() < deadline:
                    time.sleep(PAUSE)
                assert (outer.status() == psutil.STATUS_ZOMBIE) is (number < 3)
        assert not thread.is_alive()
    assert given_up.is_set()


def test_a_server_that_nobody_starts_again_is_given_up(served: threading.Event) -> None:
    """Dagster does not, if it was ended while it was starting."""
    given_up, look = threading.Event(), itertools.count()

    def clock() -> float:
        return LONGEST / 3 * next(look)

    with ExitStack() as watched:
        with start_server():
            thread = watched.enter_context(watch(given_up.set, clock))
            for _ in range(4):
                assert served.wait(30) and not given_up.is_set()
                served.clear()
        assert given_up.wait(30)
        thread.join(30)
        assert not thread.is_alive()
