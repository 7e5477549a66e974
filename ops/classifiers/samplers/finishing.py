"""Another sampler for the last steps."""

from __future__ import annotations

import numpy as np

from ops.classifiers.ingredients import Sampler


class Finishing(Sampler):
    """`first` until the step `start`, `last` from there on."""

    def __init__(self, first: Sampler, last: Sampler, start: int) -> None:
        self.first, self.last, self.start = first, last, start

    def weights(self, step: int) -> np.ndarray:
        return (self.last if step >= self.start else self.first).weights(step)
