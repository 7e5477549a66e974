"""Observations of a generator while it learns, and how fast it learns without them.

The module does not know what is trained or measured.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from ops.generators.protocol import Observer, Sample
from ops.training.state import Observation


class Watch:
    """An observer whose time does not count as training, by `clock`, in seconds."""

    def __init__(self, observer: Observer, clock: Callable[[], float] = time.monotonic) -> None:
        self.observer, self.clock = observer, clock
        self.started, self.watching = clock(), 0.0

    def start(self) -> None:
        """The training begins now."""
        self.started, self.watching = self.clock(), 0.0

    def observe(self, step: int, sample: Sample) -> Observation:
        """What the observer says of `step`."""
        begun = self.clock()
        observation = self.observer.observe(step, sample)
        self.watching += self.clock() - begun
        return observation

    def find_rate(self, images: int) -> float:
        """Training images a second, of `images` since the start."""
        return images / (self.clock() - self.started - self.watching)
