"""Observations of a generator while it learns, and how fast it learns without them.

The module does not know what is trained or measured.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from ops.generators.protocol import Observer, Sample
from ops.machine.progress import Progress
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

    def tell_rate(self, progress: Progress, step: int, batch_size: int, precision: str) -> None:
        """Tell training images a second, of the steps that `progress` saw until `step`; nothing where it saw none."""
        if steps := progress.count_own(step):
            rate = steps * batch_size / (self.clock() - self.started - self.watching)
            progress.sink(f"{progress.label}: {rate:.0f} training images per second, {precision}")
