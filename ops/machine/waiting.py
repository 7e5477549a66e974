"""Waiting for another process: one sentence at once and again every so often, never silence.

The sentence goes to stderr in every door, so that it stays out of what a command prints for scripts.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

AGAIN = 30.0  # seconds from one sentence to the next


class Waiting:
    """One wait, from its first sentence to its end; `clock` gives seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.said: float | None = None

    def say(self, what: str) -> None:
        """Print what is waited for, unless that was done within AGAIN seconds."""
        now = self.clock()
        if self.said is None or now - self.said >= AGAIN:
            self.said = now
            print(f"growset: waiting for {what}", file=sys.stderr, flush=True)
