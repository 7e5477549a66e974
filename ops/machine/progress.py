"""Progress lines for long work: how much is done, how fast, and how long the rest takes."""

from __future__ import annotations

import time
from collections.abc import Callable

from ops.machine.durations import describe_duration

Sink = Callable[[str], None]


def ignore(line: str) -> None:
    """Discards every line."""


class Progress:
    """Reports at most one line every `interval` seconds to `sink`.

    The caller passes `done`; `counts` (accepted=…, rejected=…) are shown as they are. The rate is that since `begin`,
    or since the first update where that was not called: what was done before it may be of an earlier run.
    """

    def __init__(
        self,
        sink: Sink,
        label: str,
        total: int,
        unit: str,
        *,
        interval: float = 2.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.sink, self.label, self.total, self.unit = sink, label, total, unit
        self.interval, self.clock = interval, clock
        self.started = self.reported = clock()
        self.first: int | None = None

    def begin(self, done: int) -> None:
        """Record that an earlier run finished `done`, which does not count towards the rate; 0 where none did."""
        self.first = done

    def count_own(self, done: int) -> int:
        """How many of `done`, told one by one without `begin`, are not of an earlier run."""
        return 0 if self.first is None else done - self.first + 1

    def update(self, done: int, **counts: float) -> None:
        """Record that `done` of the total is finished."""
        now = self.clock()
        if self.first is None:
            self.first, self.started = done, now
        if now - self.reported < self.interval and done < self.total:
            return
        self.reported = now
        rate = (done - self.first) / max(now - self.started, 1e-9)
        speed = f", {rate:{'.3g' if rate < 999 else '.0f'}}/s" if rate > 0 else ""
        eta = f", {describe_duration((self.total - done) / rate)} left" if rate > 0 and done < self.total else ""
        extra = "".join(f", {name} {value:g}" for name, value in counts.items())
        self.sink(f"{self.label}: {done}/{self.total} {self.unit}{speed}{eta}{extra}")
