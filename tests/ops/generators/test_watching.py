"""Observations of a generator while it learns."""

from __future__ import annotations

import itertools
import math
from typing import Any

import torch

from ops.generators.watching import Watch
from ops.machine.progress import Progress
from ops.training.state import Observation


class Slow:
    """An observer that takes three seconds of the test's clock."""

    def __init__(self, clock: Any) -> None:
        self.clock = clock

    def observe(self, step: int, sample: Any) -> Observation:
        """It reads the clock twice more."""
        assert sample({}).item() == 5 and step == 7
        next(self.clock), next(self.clock)
        return Observation()


def test_the_rate_leaves_observations_and_the_steps_of_an_earlier_run_out() -> None:
    seconds, told = itertools.count(), list[str]()
    watch = Watch(Slow(seconds), clock=lambda: float(next(seconds)))
    watch.start()  # at 1
    assert watch.observe(7, lambda feeds: torch.tensor(5)) == Observation()  # 2 to 5
    progress = Progress(told.append, "generator", 60, "steps", interval=math.inf)
    watch.tell_rate(progress, 50, 2, "bf16")
    assert not told
    progress.update(41)  # the first step after an earlier run's 40
    watch.tell_rate(progress, 50, 2, "bf16")
    assert told == [f"generator: {10 * 2 / (6 - 1 - 3):.0f} training images per second, bf16"]
