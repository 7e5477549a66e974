"""The search: screen all factors in 18 trainings, confirm what that proposes, then find how long to train.

It knows choices and scores, and asks a function for the scores: images and networks are not known here. Everything is
decided by answers on images that the trained network did not see, none of them a test image.

1. Screen. One training for each run of the design, on one fold of each; the best level of each factor by its mean.
2. Confirm. The proposal, and for each factor the proposal with another level, on all folds: the mildest level, or the
   next best one where the mildest was proposed. A factor goes back to its mildest level where that is not worse, and
   leaves it only for one that is better by more than a standard error.
3. Lengthen. The steps are doubled until the gain is within a standard error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ops.tuning.design import average_levels, lay_out
from ops.tuning.factors import Choice, Factor


@dataclass(frozen=True)
class Trial:
    """One training: a choice, the fold that it does not see, and optimizer steps."""

    choice: Choice
    fold: int
    steps: int


@dataclass(frozen=True, eq=False)
class Answers:
    """Of one trial, on the images of its fold: whether right, bool [m], and the weight of each, float64 [m].

    The weights of all folds' images sum to 1: a score is the sum of the weights of right answers.
    """

    correct: np.ndarray
    weights: np.ndarray

    @property
    def score(self) -> float:
        """On this fold, in 0..1."""
        return float(self.weights[self.correct].sum() / self.weights.sum())


@dataclass(frozen=True)
class Gain:
    """What a level is worth against another: `points` of the score in 0..1, with a standard error."""

    factor: str
    level: int
    against: int
    points: float
    error: float


@dataclass(frozen=True)
class Length:
    """A length that was tried: optimizer steps and the score in 0..1."""

    steps: int
    score: float


@dataclass(frozen=True)
class Found:
    """What a search chose and why.

    score: of the choice at `steps`. gains: of the confirmation, a factor each. lengths: those tried, shortest first.
    """

    choice: Choice
    steps: int
    score: float
    gains: tuple[Gain, ...]
    lengths: tuple[Length, ...]


Ask = Callable[[Sequence[Trial]], Mapping[Trial, Answers]]


def search(ask: Ask, factors: Sequence[Factor], *, folds: int, steps: int, first_length: int, most_steps: int) -> Found:
    """Choose a level of each factor, in trainings of `steps`, and a length from `first_length` to `most_steps`.

    `ask` trains trials, those that it knows already for nothing.
    """
    proposed, runners_up = screen(ask, factors, folds=folds, steps=steps)
    choice, gains = confirm(ask, factors, proposed, runners_up, folds=folds, steps=steps)
    lengths = lengthen(ask, choice, folds=folds, steps=first_length, most_steps=most_steps)
    best = lengths[-1] if len(lengths) < 2 or lengths[-1].score > lengths[-2].score else lengths[-2]
    return Found(choice, best.steps, best.score, gains, tuple(lengths))


def count_steps(factors: Sequence[Factor], *, folds: int, steps: int, first_length: int, most_steps: int) -> int:
    """Optimizer steps of all trainings of a search that tries every length."""
    lengths = [first_length * 2**power for power in range(1 + int(np.log2(most_steps / first_length)))]
    return steps * (18 + folds * (1 + len(factors))) + folds * sum(lengths)


def screen(ask: Ask, factors: Sequence[Factor], *, folds: int, steps: int) -> tuple[Choice, dict[str, int]]:
    """The best level of each factor, and the best of the others, by the means of the design's runs."""
    counts = [len(factor.levels) for factor in factors]
    runs = lay_out(counts if folds == 1 else [*counts, min(folds, 3)])
    trials = []
    for run in runs.tolist():
        levels = tuple(zip((factor.name for factor in factors), run, strict=False))
        trials.append(Trial(Choice(levels), 0 if folds == 1 else run[-1], steps))
    found = ask(trials)
    scores = np.array([found[trial].score for trial in trials])
    ranked = [np.argsort(-means, kind="stable") for means in average_levels(runs, scores)[: len(factors)]]
    choice = Choice(tuple((f.name, int(order[0])) for f, order in zip(factors, ranked, strict=True)))
    return choice, {f.name: int(order[1]) for f, order in zip(factors, ranked, strict=True)}


def confirm(
    ask: Ask, factors: Sequence[Factor], proposed: Choice, runners_up: Mapping[str, int], *, folds: int, steps: int
) -> tuple[Choice, tuple[Gain, ...]]:
    """The proposal with the factors changed that the comparison on all folds changes, and what each was worth."""
    levels = dict(proposed.levels)
    rivals = {name: 0 if level else runners_up[name] for name, level in levels.items()}
    changed = {name: proposed.replace(name, rival) for name, rival in rivals.items()}
    trials = [Trial(choice, fold, steps) for choice in (proposed, *changed.values()) for fold in range(folds)]
    found = ask(trials)
    credits = {choice: _gather(found, choice, folds, steps) for choice in (proposed, *changed.values())}
    choice, gains, single = proposed, [], [proposed]
    for name, rival in rivals.items():
        milder, bolder = sorted((levels[name], rival))
        of = {levels[name]: credits[proposed], rival: credits[changed[name]]}
        difference = of[bolder] - of[milder]
        gain = Gain(name, bolder, milder, float(difference.sum()), _find_error(difference))
        gains.append(gain)
        leaves = gain.points > (gain.error if levels[name] == milder else 0)
        kept = bolder if leaves else milder
        choice = choice.replace(name, kept)
        if kept == rival:
            single.append(changed[name])
    # Changes that are good one by one may be bad together: then only the best one is made.
    found = ask([Trial(each, fold, steps) for each in (choice, *single) for fold in range(folds)])
    best = max((choice, *single), key=lambda each: float(_gather(found, each, folds, steps).sum()))
    return best, tuple(gains)


def lengthen(ask: Ask, choice: Choice, *, folds: int, steps: int, most_steps: int) -> list[Length]:
    """The lengths tried: steps, twice as many and so on, until a gain is within a standard error, or too long."""
    lengths: list[Length] = []
    before = None
    while steps <= most_steps or not lengths:
        credits = _gather(ask([Trial(choice, fold, steps) for fold in range(folds)]), choice, folds, steps)
        lengths.append(Length(steps, float(credits.sum())))
        if before is not None and (credits - before).sum() <= _find_error(credits - before):
            break
        before, steps = credits, 2 * steps
    return lengths


def _gather(found: Mapping[Trial, Answers], choice: Choice, folds: int, steps: int) -> np.ndarray:
    """Credits float64 [n] of all images, each from the network that did not see it."""
    parts = [found[Trial(choice, fold, steps)] for fold in range(folds)]
    return np.concatenate([np.where(part.correct, part.weights, 0) for part in parts])


def _find_error(difference: np.ndarray) -> float:
    """Standard error of the sum of paired differences float64 [n], images taken as drawn at random."""
    return float(np.sqrt(len(difference)) * difference.std())
