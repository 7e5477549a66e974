"""How long to train: double the steps until the gain is within its standard error.

A training of twice the steps is a new one, because a one-cycle schedule has its best rate at its end. The rule sees
credits alone; it does not know what was trained, or on what.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ops.statistics.paired import Credits, find_cautious_error, sum_points


@dataclass(frozen=True)
class Length:
    """A length that was tried: optimizer steps and the score in 0..1.

    gain: over the length before, in 0..1, with its standard error; both None for the first.
    """

    steps: int
    score: float
    gain: float | None = None
    error: float | None = None


def double_steps(answer: Callable[[int], Credits], *, steps: int, most_steps: int) -> Iterator[Length]:
    """The lengths tried, each as soon as it is known: `steps`, twice as many and so on, at most `most_steps`.

    It ends where a gain is within a standard error. `answer` gives the credits of a training of so many steps. The
    first length is tried even if it is above the most.
    """
    before = None
    while before is None or steps <= most_steps:
        credits = answer(steps)
        score = sum_points(credits)
        if before is None:
            yield Length(steps, score)
        else:
            gain, error = sum_points(credits - before), find_cautious_error(credits - before)
            yield Length(steps, score, gain, error)
            if gain <= error:
                return
        before, steps = credits, 2 * steps


def choose_length(lengths: Sequence[Length]) -> Length:
    """The last length, unless it gained no more than its standard error: then the one before it, at half the cost."""
    last = lengths[-1]
    return lengths[-2] if last.gain is not None and last.error is not None and last.gain <= last.error else last
