"""End `growset` cleanly: after Ctrl-C, SIGTERM or a closed terminal with one sentence and exit code 128 + the signal.

A signal raises `Interrupted` in the main thread, so that cleanup code runs on the way out. That alone is not enough: a
library may replace the handler (Dagster does) or swallow the exception, and a compute kernel may keep the main thread
busy. So a second thread receives every signal directly from the operating system. It ends the process if the main
thread has not done so within GRACE seconds, or when a second signal comes. That equals a kill, which every stage
survives.

`pipelines.cli.main` imports this first, and importing it is enough: a signal may come while the rest is being loaded.
So it needs the standard library and `ops.machine.interruption` only (psutil at the end).
"""

import atexit
import contextlib
import logging
import os
import select
import shlex
import signal
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import TYPE_CHECKING

from ops.machine.interruption import STOPS, Interrupted, at, is_shielded, notice, noticed, where

if TYPE_CHECKING:  # at run time `sys` has no such name
    from sys import UnraisableHookArgs

GRACE = 4.0  # seconds to clean up, and as many again for a step that must not be cut in two
DOUBLE = 0.5  # seconds within which two signals count as one: a terminal and a supervisor may both pass it on
RETRY = 0.05  # seconds from a lost exception to the next attempt
CHECK_PARENT = 0.5  # seconds between two checks whether the parent process is still alive
PROGRAM = "growset"


def _is_not_interruption(record: logging.LogRecord) -> bool:
    return record.exc_info is None or not isinstance(record.exc_info[1], Interrupted)


class Listener:
    """Handles the signals of this process, from `start` to its end."""

    def __init__(self, arguments: list[str]) -> None:
        self.arguments = arguments
        self.place = ""
        self.raised = False
        self.ending = threading.Lock()  # never released: only one thread ends the process
        self.parent = os.getppid()

    def start(self) -> None:
        """Listen. An ignored signal stays ignored, as `nohup` and `&` need."""
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        for number in STOPS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._interrupt)
        sys.excepthook = self._end_or_show
        if logging.lastResort is not None:  # SQLAlchemy logs what interrupts it, with a traceback, and passes it on
            logging.lastResort.addFilter(_is_not_interruption)
        sys.unraisablehook = self._raise_again
        atexit.register(self._stop)
        threading.Thread(target=self._watch, args=(reader,), name="signals", daemon=True).start()

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self._notice(number)
        if not self.raised:
            self.raised = True
            raise Interrupted(number)

    def _notice(self, number: int) -> None:
        if noticed() is None:
            notice(number)
            self.place = where()

    def _watch(self, reader: int) -> None:
        """Wait for signals; each arrives as a byte that is its number."""
        first = 0.0
        while True:
            timeout = CHECK_PARENT if not first else max(0.0, first + GRACE - time.monotonic())
            if select.select([reader], [], [], timeout)[0]:
                stops = [number for number in os.read(reader, 64) if number in STOPS]
                if not stops:
                    continue
                self._notice(stops[0])
                if not first:
                    first = time.monotonic()
                elif time.monotonic() - first > DOUBLE:
                    self._end_whole_step()
            elif first:
                self._end_whole_step()
            elif "DVC_STAGE" in os.environ and os.getppid() != self.parent:
                wake_main(signal.SIGTERM)  # DVC was killed, so no process waits for this stage

    def _end_whole_step(self) -> None:
        deadline = time.monotonic() + GRACE
        while is_shielded() and time.monotonic() < deadline:
            time.sleep(0.01)
        self.end()

    def _end_or_show(self, kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        if noticed() is not None:
            self.end()
        sys.__excepthook__(kind, error, traceback)

    def _raise_again(self, lost: "UnraisableHookArgs") -> None:
        """Raise again an exception of a signal that was lost in a destructor or a callback."""
        if issubclass(lost.exc_type, Exception) and noticed() is None:
            sys.__unraisablehook__(lost)
        elif not issubclass(lost.exc_type, Exception):
            self.raised = False
            threading.Timer(RETRY, lambda: wake_main(noticed() or signal.SIGINT)).start()

    def _stop(self) -> None:
        """Runs last: ignore signals now that the command has finished; Python would restore the default handlers."""
        if noticed() is not None:
            self.end()
        for number in STOPS:
            signal.signal(number, signal.SIG_IGN)

    def end(self) -> None:
        """Print the sentence, end all child processes, then this process. Does not return."""
        self.ending.acquire()
        number = noticed()
        assert number is not None
        with contextlib.suppress(OSError, ValueError):  # the terminal may be gone
            if sys.stdout.isatty():
                os.write(sys.stdout.fileno(), b"\x1b[?25h")  # show the cursor, which a progress line hides
            os.write(2, f"growset: {self.sentence()}\n".encode())
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # silence messages of everything that is torn down now
        end_children()
        os._exit(128 + number)

    def sentence(self) -> str:
        """Where it stopped, and the command that continues."""
        command = "dvc repro" if "DVC_STAGE" in os.environ else shlex.join([PROGRAM, *self.arguments])
        is_rehearsal = "--quick" in self.arguments  # which is made anew each time
        again = "start again with" if is_rehearsal else "go on with"
        return f"stopped {self.place or 'before it began'}; {again}: {command}"


def wake_main(number: int) -> None:
    """Send the main thread a signal, which also wakes it where it sleeps or waits."""
    main = threading.main_thread().ident
    assert main is not None
    signal.pthread_kill(main, number)


_listener: Listener | None = None


def listen() -> None:
    """Listen to signals if this process is the program `growset`, not one that imports it, nor a worker process."""
    global _listener
    processes = sys.modules.get("multiprocessing.process")
    is_worker = processes is not None and processes.parent_process() is not None
    is_program = os.path.basename(sys.argv[0]) == PROGRAM and not is_worker
    if _listener is None and is_program and threading.current_thread() is threading.main_thread():
        _listener = Listener(sys.argv[1:])
        _listener.start()


@contextlib.contextmanager
def stoppable(command: str) -> Iterator[None]:
    """Wrap a whole command: if a signal was noticed during it, the process ends here, whatever the outcome."""
    try:
        with at(f"in the command {command}"):
            yield
    finally:
        if _listener is not None and noticed() is not None:
            _listener.end()


def end_children() -> None:
    """End all descendants of this process, and release the system resources that `multiprocessing` holds.

    Its own resource tracker ends by itself when nothing is left; otherwise it would warn of leaked resources.
    """
    import psutil

    tracker = getattr(sys.modules.get("multiprocessing.resource_tracker"), "_resource_tracker", None)
    for child in psutil.Process().children(recursive=True):
        if child.pid != getattr(tracker, "_pid", None):
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
    if util := sys.modules.get("multiprocessing.util"):
        cleaning = threading.Thread(target=util._run_finalizers, args=(0,), daemon=True)
        cleaning.start()
        cleaning.join(1.0)


listen()
