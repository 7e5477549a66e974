"""Dagster's daemon of a UI (sensors, schedules, the queue of runs): a process that is started again if it ends.

A daemon that the machine ran out of memory for would else end the UI, or leave it without schedules in the night.
"""

import logging
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

MOST_RESTARTS, WITHIN = 3, 600.0  # restarts within so many seconds; one more end means that a restart does not help
PAUSE = 1.0  # s before a restart; by then it is known whether the UI is ending as well
CLOSING = 10  # s that the daemon gets to end
LOGGER = logging.getLogger("growset.ui")


def may_restart(ends: Sequence[float], now: float) -> bool:
    """Whether a daemon that ended at these times, in seconds, the last of them just now, is started once more."""
    return sum(now - end <= WITHIN for end in ends) <= MOST_RESTARTS


class Daemon:
    """The process of `command`, started when this object is made."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = list(command)
        self._changing = threading.Lock()  # held while the process is exchanged or ended
        self._closed = threading.Event()
        self._process = subprocess.Popen(self._command)
        self.given_up: int | None = None  # its exit code, if it is not started again

    def keep_alive(self, give_up: Callable[[], None], is_ending: Callable[[], bool], pause: float = PAUSE) -> None:
        """Start it again whenever it ends by itself, until `close`; call `give_up` if that happens too often.

        `is_ending`: whether the UI is. A signal may reach the daemon before the UI calls `close`.
        """
        ends: list[float] = []
        while True:
            code = self._process.wait()
            if self._closed.wait(pause) or is_ending():
                return
            ends.append(time.monotonic())
            with self._changing:
                if self._closed.is_set():
                    return
                if not may_restart(ends, ends[-1]):
                    self.given_up = code
                    break
                LOGGER.warning("Dagster's daemon ended by itself (%s); it is started again", code)
                self._process = subprocess.Popen(self._command)
        give_up()

    def close(self) -> None:
        """End the process for good."""
        self._closed.set()
        with self._changing:
            self._process.terminate()
            try:
                self._process.wait(CLOSING)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


@contextmanager
def run_daemon(command: Sequence[str]) -> Iterator[Daemon]:
    """A daemon that ends with the context."""
    daemon = Daemon(command)
    try:
        yield daemon
    finally:
        daemon.close()
