"""A code server whose inner process was killed is started again as a whole."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest

from pipelines import code_server
from pipelines.code_server import INNER, OUTER, Absence, keep_whole

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
def watch() -> Iterator[threading.Thread]:
    ended = threading.Event()
    thread = threading.Thread(target=keep_whole, args=(psutil.Process(), ended, PAUSE))
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


def test_a_server_that_ends_again_and_again_is_given_up(
    served: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    with watch() as thread:
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
    assert "again and again" in caplog.text
