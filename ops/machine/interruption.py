"""Being stopped by a signal (Ctrl-C, SIGTERM, a closed terminal): what the computations need to know of it.

They say where they are (`at`), they put a signal off where half a step would do harm (`shielded`), and they ask after
code that may have swallowed an exception whether a signal came (`check`). Who listens to signals, what is printed and
how the process ends is `pipelines.interruption`'s business; where nobody listens, `check` never raises.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_places: list[str] = []
_left: list[str] = []  # places that an interrupt went out of, the innermost first
_noticed: list[int] = []
_shields: list[None] = []


class Interrupted(KeyboardInterrupt):
    """A signal asks this process to stop. Libraries that know Ctrl-C treat it as that."""


@contextmanager
def at(place: str) -> Iterator[None]:
    """Within the block the work is `place`, such as "in stage scorer of 'smoke'"; the innermost block counts."""
    _places.append(place)
    try:
        yield
    except BaseException as error:
        if not isinstance(error, Exception | GeneratorExit | SystemExit):
            _left.append(place)
        raise
    finally:
        _places.pop()


def where() -> str:
    """The place of the innermost `at`, or the one that an interrupt came out of; empty outside of any."""
    return (*_left[:1], *_places[-1:], "")[0]


def notice(number: int) -> None:
    """Note that a signal asks this process to stop; from now on `check` raises."""
    _noticed.append(number)


def noticed() -> int | None:
    """The first signal that was noticed."""
    return _noticed[0] if _noticed else None


def check() -> None:
    """Raise Interrupted if a signal was noticed, also where a library has swallowed the exception it raised."""
    if _noticed:
        raise Interrupted(_noticed[0])


def is_shielded() -> bool:
    """Whether the main thread is within `shielded`."""
    return bool(_shields)


@contextmanager
def shielded() -> Iterator[None]:
    """Put off the effect of a signal to the end of the block. For steps of well below a second, or safe to be killed.

    Only the main thread can do that; elsewhere Python raises nothing anyway.
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
