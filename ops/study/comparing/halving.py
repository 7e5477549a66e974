"""Successive halving (Jamieson and Talwalkar, AISTATS 2016): every recipe gets a little time, the better half gets
more, until one is left.

Half of the time belongs to the race, the other half to the winner alone, because only a whole run is judged on test
images. Each rung gets an equal part of the race's time. In it every recipe takes the same share of its own steps, so
that sections that are equal in two recipes stay equal, and what they have in common is made once. The module does not
know what a rung trains, or what its scores are made of.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

RACE_SHARE = 0.5  # of all time
HALVINGS = 10  # of the range in which a share lies; steps have two digits
Scores = Mapping[str, float | None]
"""By recipe its score on validation; None where its generator was not used."""


def size_rungs(recipes: int) -> list[int]:
    """How many recipes each rung trains: the better half goes on, until two are left; of them one wins.

    >>> size_rungs(2), size_rungs(5), size_rungs(15)
    ([2], [5, 3, 2], [15, 8, 4, 2])
    """
    sizes = [recipes]
    while sizes[-1] > 2:
        sizes.append(math.ceil(sizes[-1] / 2))
    return sizes


def share_time(seconds: float, recipes: int) -> list[float]:
    """Seconds of each rung, and last those of the winner's whole run.

    >>> share_time(1200.0, 4)
    [300.0, 300.0, 600.0]
    """
    rungs, race = len(size_rungs(recipes)), RACE_SHARE * seconds
    return [*(race / rungs for _ in range(rungs)), seconds - race]


def find_share(count_seconds: Callable[[float], float], seconds: float) -> float | None:
    """The largest share of the steps, at most 1, that takes no more than `seconds`; None where even 0 takes longer.

    count_seconds: from a share in 0..1, of which 0 stands for the fewest steps with which networks can learn.
    """
    if count_seconds(1.0) <= seconds:
        return 1.0
    if count_seconds(0.0) > seconds:
        return None
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if count_seconds(middle) <= seconds else (low, middle)
    return low


def keep_best(scores: Scores, count: int) -> list[str]:
    """The `count` recipes with the best scores, best first; the earlier wins a tie, and those without a score are
    last."""
    order = sorted(scores, key=lambda name: -_rank(scores[name]))
    return order[:count]


def _rank(score: float | None) -> float:
    return -math.inf if score is None else score


def run_rungs(recipes: Sequence[str], run_rung: Callable[[int, Sequence[str]], Scores]) -> str | None:
    """The winner; None where no recipe of the last rung has a score. run_rung: from the number of a rung, from 0, and
    the recipes that are left, their scores."""
    left = list(recipes)
    sizes = [*size_rungs(len(left)), 1]
    scores: Scores = {}
    for number, after in enumerate(sizes[1:]):
        scores = run_rung(number, left)
        left = keep_best(scores, after)
    return left[0] if scores[left[0]] is not None else None
