"""What no input may do: raise anything but a GrowsetError, hang, fill the memory, write, run or call anything.

Python's audit events tell of every file that is opened for writing, every program and every connection. The hook
cannot be taken away again, so it looks only while `watch` runs.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from ops.errors import GrowsetError

SECONDS = 20.0  # for one case, on a machine that is busy with other things
ROOM = 6 * 2**30  # bytes of address space that a case may add; allocators reserve far more than they use
GROWTH = 2**30  # bytes of memory that a case may really take
FORBIDDEN = {
    "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.system", "subprocess.Popen", "socket.connect",
    "socket.bind", "pickle.find_class", "os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink",
    "os.truncate", "os.chmod", "os.chown", "os.utime", "os.kill", "shutil.rmtree", "shutil.copyfile", "shutil.move",
    "urllib.Request", "ftplib.connect", "webbrowser.open",
}  # fmt: skip
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

_events: list[str] | None = None


class Hung(BaseException):
    """The case took longer than SECONDS. No `except Exception` catches it."""


def _listen(event: str, arguments: tuple[object, ...]) -> None:
    if _events is None:
        return
    if event in FORBIDDEN or (event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING):
        _events.append(f"{event} {arguments!r:.200}")


sys.addaudithook(_listen)


@contextmanager
def limited() -> Iterator[None]:
    """A limit on address space for the block, so that what would fill the memory raises MemoryError."""
    with open("/proc/self/statm", encoding="ascii") as statm:
        used = int(statm.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + ROOM, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def watch(action: Callable[[], object]) -> str | None:
    """Do something that may end with a GrowsetError; what it did beyond that, in some lines, or None."""
    global _events

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise Hung

    before = signal.signal(signal.SIGALRM, interrupt)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    _events = events = []
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        action()
        fault = None
    except GrowsetError as error:
        sentence = str(error)
        bad = "\n" in sentence or not sentence.strip() or len(sentence) > 4_000 or error.exit_code not in (2, 4)
        fault = f"a bad sentence ({type(error).__name__}): {sentence[:1_000]!r}" if bad else None
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        fault = "".join(traceback.format_exception(error)[-6:])[-3_000:]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        _events = None
        signal.signal(signal.SIGALRM, before)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak) * 1024
    if grown > GROWTH:
        fault = f"{grown:,} bytes of memory; {fault}"
    if events:
        fault = f"it did {events[:3]}; {fault}"
    return fault
