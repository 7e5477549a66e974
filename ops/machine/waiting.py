"""Report a wait for another process: one sentence at once, and again at intervals.

The sentence always goes to stderr, so that it does not mix with output for scripts.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

INTERVAL = 30.0  # seconds between two sentences


class Waiting:
    """One wait; `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.said: float | None = None

    def say(self, what: str) -> None:
        """Print what is waited for, unless that was done within INTERVAL seconds."""
        now = self.clock()
        if self.said is None or now - self.said >= INTERVAL:
            self.said = now
            print(f"growset: waiting for {what}", file=sys.stderr, flush=True)
