"""A training that takes one step whenever it is told to, so that several trainings can take turns.

The module knows no training: it is given one that calls a function after each of its steps.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class _Ended(Exception):
    """The training is to end where it is."""


class Steps:
    """A training in a thread of its own that takes one step whenever it is told to."""

    def __init__(self, train: Callable[[Callable[[int, float], None]], object]) -> None:
        """train: runs the whole training and calls its argument after each step."""
        self.told, self.taken = threading.Semaphore(0), threading.Semaphore(0)
        self.fault: BaseException | None = None
        self.ends = False
        self.thread = threading.Thread(target=self._run, args=(train,), daemon=True)
        self.thread.start()

    def take(self) -> float:
        """Processor seconds of the next step, with whatever leads to it; raises what the training raised."""
        started = time.process_time()
        self.told.release()
        self.taken.acquire()
        if self.fault is not None:
            raise self.fault
        return time.process_time() - started

    def end(self) -> None:
        """End the training after the step that it has taken last."""
        self.ends = True
        self.told.release()
        self.thread.join()

    def _run(self, train: Callable[[Callable[[int, float], None]], object]) -> None:
        try:
            self._wait()
            train(self._pause)
        except _Ended:
            return
        except BaseException as fault:
            self.fault = fault
            self.taken.release()

    def _pause(self, step: int, loss: float) -> None:
        self.taken.release()
        self._wait()

    def _wait(self) -> None:
        self.told.acquire()
        if self.ends:
            raise _Ended
