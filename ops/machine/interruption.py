"""Stopping by a signal (Ctrl-C, SIGTERM, a closed terminal), as far as computations are concerned.

They name their place (`at`), postpone a signal while half a step would do harm (`shielded`), and check for a signal
after code that may have swallowed an exception (`check`). `pipelines.interruption` handles the signals, prints the
message and ends the process; without its handlers `check` never raises.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_places: list[str] = []
_interrupted: list[str] = []  # places that an interrupt passed on its way out, the innermost first
_noticed: list[int] = []
_shields: list[None] = []


class Interrupted(KeyboardInterrupt):
    """A signal asked this process to stop. Libraries treat it like Ctrl-C."""


@contextmanager
def at(place: str) -> Iterator[None]:
    """Name the place of the work in the block, such as "in stage scorer of 'smoke'"; the innermost block counts."""
    _places.append(place)
    try:
        yield
    except BaseException as error:
        if not isinstance(error, Exception | GeneratorExit | SystemExit):
            _interrupted.append(place)
        raise
    finally:
        _places.pop()


def where() -> str:
    """The place where an interrupt occurred, else the place of the innermost `at`; empty outside every `at`."""
    return (*_interrupted[:1], *_places[-1:], "")[0]


def notice(number: int) -> None:
    """Record that a signal asked this process to stop; from now on `check` raises."""
    _noticed.append(number)


def noticed() -> int | None:
    """The number of the first recorded signal, or None."""
    return _noticed[0] if _noticed else None


def check() -> None:
    """Raise Interrupted if a signal was recorded, even if a library has swallowed the exception that it raised."""
    if _noticed:
        raise Interrupted(_noticed[0])


def is_shielded() -> bool:
    """Whether the main thread is inside `shielded`."""
    return bool(_shields)


@contextmanager
def shielded() -> Iterator[None]:
    """Postpone the effect of signals to the end of the block. Use it for steps well below a second, or safe to kill.

    It has no effect in other threads, where Python delivers no signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    caught: list[int] = []
    before = {}
    for number in STOPS:
        if signal.getsignal(number) not in (signal.SIG_IGN, None):
            before[number] = signal.signal(number, lambda got, frame: caught.append(got))
    _shields.append(None)
    try:
        yield
    finally:
        _shields.pop()
        for number, handler in before.items():
            signal.signal(number, handler)
        if caught:
            signal.raise_signal(caught[0])
