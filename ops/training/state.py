"""How far a training has come, and how it is judged on the way. Plain data, so that nothing here loads torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

LOSS_WINDOW = 20
LAST = 5  # windows of the final loss
Z = 1.96  # a difference of more than so many standard errors is not chance


@dataclass(frozen=True)
class Observation:
    """What an observer found at a moment.

    distances : by feature space, the distance to what is wanted (the lower, the better) and its standard error; empty
        if nothing was measured.
    usable : False: this moment is not kept if there is another one.
    stop : it ends the training.
    """

    distances: Mapping[str, Sequence[float]] = field(default_factory=dict)
    usable: bool = True
    stop: bool = False


@dataclass
class TrainingState:
    """The part of a checkpoint that is not a tensor.

    step : steps taken.
    losses : mean loss of each LOSS_WINDOW steps; `window` holds the losses since the last of them.
    best_step : of the moment that is kept.
    seen : the distances of each observation so far that was usable.
    stopped : whether an observation ended the training.
    """

    step: int = 0
    losses: list[float] = field(default_factory=list)
    window: list[float] = field(default_factory=list)
    best_step: int = 0
    seen: list[dict[str, list[float]]] = field(default_factory=list)
    stopped: bool = False

    def describe(self, batch_size: int) -> dict[str, float | None]:
        """For a stage's metrics: steps, those at the kept moment, images seen until then, the mean last loss."""
        last = self.losses[-LAST:]
        return {
            "steps": self.step,
            "best_step": self.best_step,
            "training_images": self.best_step * batch_size,
            "final_loss": round(sum(last) / len(last), 6) if last else None,
        }

    def count_step(self, loss: float) -> None:
        """Record one more step and its loss."""
        self.step += 1
        self.window.append(loss)
        if len(self.window) == LOSS_WINDOW:
            self.losses.append(sum(self.window) / LOSS_WINDOW)
            self.window.clear()

    def judge(self, observation: Observation) -> None:
        """Record an observation of this step, and keep this moment unless an earlier one is clearly better.

        So the last moment is kept, except where there is evidence against it. A moment is compared with all earlier
        ones, not only with the one that is kept, so that many small losses cannot add up unseen.
        """
        beaten = any(is_clearly_better(earlier, observation.distances) for earlier in self.seen)
        if not self.best_step or (observation.usable and not beaten):
            self.best_step = self.step
        if observation.usable:
            self.seen.append({space: list(found) for space, found in observation.distances.items()})
        self.stopped = observation.stop


def is_clearly_better(one: Mapping[str, Sequence[float]], other: Mapping[str, Sequence[float]]) -> bool:
    """Whether `one` has the lower distance in every feature space, each time by more than Z standard errors.

    Errors of the two are added as if they were independent. They share the real images and the noise, so the true error
    of the difference is smaller: in doubt nothing is clearly better.
    """
    return bool(other) and all(
        space in one and value - one[space][0] > Z * math.hypot(error, one[space][1])
        for space, (value, error) in other.items()
    )
