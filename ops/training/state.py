"""How far a training has come, and how it is judged on the way. Plain data, so that nothing here loads torch."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

LOSS_WINDOW = 20


@dataclass(frozen=True)
class Observation:
    """What an observer found: the lower the score, the better; `stop` ends training."""

    score: float
    stop: bool = False


@dataclass
class TrainingState:
    """The part of a checkpoint that is not a tensor.

    step : steps taken.
    losses : mean loss of each LOSS_WINDOW steps; `window` holds the losses since the last of them.
    best_step, best_score : of the best observation.
    stopped : whether an observation ended the training.
    """

    step: int = 0
    losses: list[float] = field(default_factory=list)
    window: list[float] = field(default_factory=list)
    best_step: int = 0
    best_score: float = math.inf
    stopped: bool = False

    def count_step(self, loss: float) -> None:
        """Record one more step and its loss."""
        self.step += 1
        self.window.append(loss)
        if len(self.window) == LOSS_WINDOW:
            self.losses.append(sum(self.window) / LOSS_WINDOW)
            self.window.clear()

    def judge(self, observation: Observation) -> None:
        """Record an observation of this step. The lowest score is the best; of equal ones the later."""
        if observation.score <= self.best_score:
            self.best_step, self.best_score = self.step, observation.score
        self.stopped = observation.stop
