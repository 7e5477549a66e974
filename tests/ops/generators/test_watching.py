"""Observations of a generator while it learns."""

from __future__ import annotations

import itertools
from typing import Any

import torch

from ops.generators.watching import Watch
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


def test_the_rate_leaves_the_seconds_of_observations_out() -> None:
    seconds = itertools.count()
    watch = Watch(Slow(seconds), clock=lambda: float(next(seconds)))
    watch.start()  # at 1
    assert watch.observe(7, lambda feeds: torch.tensor(5)) == Observation()  # 2 to 5
    assert watch.find_rate(100) == 100 / (6 - 1 - 3)
