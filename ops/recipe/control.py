"""How long the controller's races are: rounds of short trainings, at most a share of the trainings that they prepare.

In each round all contenders of a side take equally many steps, and half of them go on to trainings of twice the length
(successive halving: Jamieson and Talwalkar 2016). Then the best one with and the best one without generated images are
trained from other seeds, and these decide. The module knows settings alone, and of these the numbers of steps and
seeds, so that a plan can count before anything is trained.
"""

from __future__ import annotations

from dataclasses import dataclass

SHARE = 0.3  # of an arm's final trainings, in steps: most that the race of the arm may take
DECIDING_SEEDS = 3  # of each of the two that are compared in the end; two would leave too few degrees of freedom
SHAPES = (((4, 1), (2, 2)), ((2, 1),))  # contenders of a round and their length in units; the widest race first
DECIDING_LENGTH = 2  # in units
LEAST_LENGTH, LEAST_STEPS = 0.1, 50  # of a final training, and steps: with shorter trainings fewer contenders race


@dataclass(frozen=True)
class Round:
    """So many contenders, each trained for `steps` from each of `seeds` seeds."""

    contenders: int
    seeds: int
    steps: int


@dataclass(frozen=True)
class Schedule:
    """The rounds of one side, with or without generated images, and the trainings of a side that decide."""

    rounds: tuple[Round, ...]
    deciding: Round

    @property
    def contenders(self) -> int:
        """How many settings each side tries."""
        return self.rounds[0].contenders


def build_schedule(steps: int, seeds: int) -> Schedule:
    """The races of arms that are then trained from `seeds` seeds for `steps` steps each.

    A side's rounds and deciding trainings take at most `SHARE` of an arm's final trainings, and none is longer than
    one of these. ValueError where not even one step is left.

    >>> build_schedule(800, 5).rounds
    (Round(contenders=4, seeds=1, steps=85), Round(contenders=2, seeds=1, steps=170))
    """
    allowed = round(10 * SHARE) * seeds * steps // 10
    for shape in SHAPES:
        units = sum(contenders * length for contenders, length in shape) + DECIDING_SEEDS * DECIDING_LENGTH
        unit = min(allowed // units, steps // DECIDING_LENGTH)
        if unit >= max(LEAST_STEPS, LEAST_LENGTH * steps) or (shape == SHAPES[-1] and unit >= 1):
            return Schedule(
                tuple(Round(contenders, 1, length * unit) for contenders, length in shape),
                Round(1, DECIDING_SEEDS, DECIDING_LENGTH * unit),
            )
    raise ValueError(
        f"{seeds} trainings of {steps} steps leave none for a race, which may take {SHARE:.0%} of them; raise"
        " classifier.steps or classifier.seeds"
    )
