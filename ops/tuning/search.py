"""The search: screen factors in 18 trainings, confirm what that proposes, try late factors, find how long to train.

It knows choices and scores, and asks a function for the scores: images and networks are not known here. Everything is
decided by answers on images that the trained network did not see, none of them a test image.

1. Screen. One training for each run of the design, on one fold of each; the best level of each factor by its mean.
2. Confirm. The proposal, and for each factor the proposal with another level, on all folds: the mildest level, or the
   next best one where the mildest was proposed. A factor goes back to its mildest level where that is not worse, or
   cheaper and not worse by more than a standard error; it leaves it only for one that is better by more than that.
   Where the first fold agrees with the proposal, or is clearly against it, the others are not asked. Changes that
   clash are made one after another, cheaper levels first, then the best, each only if it is still good beside those
   before it.
3. Challenge. The other levels of a late factor are compared on the first fold, the best of them with the choice on all
   folds; it is taken if it is better by more than a standard error.
4. Lengthen. The steps are doubled until the gain is within a standard error. All arms share the length, so it is
   tried with mixup, which learns longest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from ops.statistics.paired import Credits, find_cautious_error, sum_draws, sum_points
from ops.tuning.design import average_levels, lay_out
from ops.tuning.factors import Choice, Factor, find_cost
from ops.tuning.lengths import Length, choose_length, double_steps

CLEAR = 2.0  # standard errors of a difference on one fold from which the others are not asked
AGREES = 0.5  # share of comparisons in which the first fold is expected to decide


@dataclass(frozen=True)
class Trial:
    """One training: a choice, the fold that it does not see, and optimizer steps; with mixup or without."""

    choice: Choice
    fold: int
    steps: int
    mixup: bool = False


@dataclass(frozen=True, eq=False)
class Answers:
    """Of one trial, on the images of its fold: whether right, bool [m], and the weight of each, float64 [m].

    The weights of all folds' images sum to 1: a score is the sum of the weights of right answers. units: int [m], equal
    for images that are one draw, such as a patient's; None where each is its own.
    """

    correct: np.ndarray
    weights: np.ndarray
    units: np.ndarray | None = None

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
class Found:
    """What a search chose and why.

    score: of the choice at `steps` with mixup, or in the search where there was one length alone, in 0..1. gains: of
    the confirmation and the challenges, a factor each. lengths: those tried, shortest first. clash: by how much all
    good changes together were behind the best of them, in 0..1; None where they were not.
    """

    choice: Choice
    steps: int
    score: float
    gains: tuple[Gain, ...]
    lengths: tuple[Length, ...]
    clash: float | None = None


Place = Literal["bolder", "milder", "cheaper"]  # cheaper is milder, too
Ask = Callable[[Sequence[Trial]], Mapping[Trial, Answers]]


def search(ask: Ask, factors: Sequence[Factor], *, folds: int, steps: int, first_length: int, most_steps: int) -> Found:
    """Choose a level of each factor, in trainings of `steps`, and a length from `first_length` to `most_steps`.

    `ask` trains trials, those that it knows already for nothing.
    """
    early = [factor for factor in factors if not factor.late]
    proposed, runners_up = screen(ask, factors, folds=folds, steps=steps)
    choice, gains, clash = confirm(ask, early, proposed, runners_up, folds=folds, steps=steps)
    for factor in factors:
        if factor.late:
            choice, gain = challenge(ask, factor, choice, folds=folds, steps=steps)
            gains = (*gains, gain)
    if not is_choice(first_length, most_steps):
        found = ask([Trial(choice, fold, steps) for fold in range(folds)])
        score = sum_points(_gather(found, choice, folds, steps))
        return Found(choice, first_length, score, gains, (), clash)
    lengths = lengthen(ask, choice, folds=folds, steps=first_length, most_steps=most_steps)
    best = choose_length(lengths)
    return Found(choice, best.steps, best.score, gains, tuple(lengths), clash)


def count_steps(factors: Sequence[Factor], *, folds: int, steps: int, first_length: int, most_steps: int) -> int:
    """Optimizer steps to be expected of a search that tries every length.

    The first fold agrees with the proposal in half of the comparisons. Steps of a dearer level count as so many of the
    mildest ones.
    """
    early, late = ([factor for factor in factors if factor.late == is_late] for is_late in (False, True))
    screened = sum(find_cost(factors, trial.choice) for trial in list_runs(factors, folds=folds, steps=steps))
    more = AGREES * (folds - 1)
    confirmed = folds + (1 + more) * sum(factor.levels[-1].cost for factor in early)
    challenged = sum(sum(f.levels[level].cost for level in range(1, len(f.levels))) for f in late)
    challenged += more * sum(max(level.cost for level in factor.levels[1:]) for factor in late)
    lengths = [first_length * 2**power for power in range(1 + int(np.log2(most_steps / first_length)))]
    lengthened = folds * sum(lengths) if is_choice(first_length, most_steps) else 0
    return round(steps * (screened + confirmed + challenged) + lengthened)


def list_runs(factors: Sequence[Factor], *, folds: int, steps: int) -> list[Trial]:
    """The design's trainings; late factors stay at their first level."""
    early = [factor for factor in factors if not factor.late]
    rest = tuple((factor.name, 0) for factor in factors if factor.late)
    counts = [len(factor.levels) for factor in early]
    runs = lay_out(counts if folds == 1 else [*counts, min(folds, 3)])
    trials = []
    for run in runs.tolist():
        levels = tuple(zip((factor.name for factor in early), run, strict=False))
        trials.append(Trial(Choice(levels + rest), 0 if folds == 1 else run[-1], steps))
    return trials


def screen(ask: Ask, factors: Sequence[Factor], *, folds: int, steps: int) -> tuple[Choice, dict[str, int]]:
    """The best level of each factor that is not late, and the best of the others, by the means of the design's runs."""
    early = [factor for factor in factors if not factor.late]
    trials = list_runs(factors, folds=folds, steps=steps)
    found = ask(trials)
    scores = np.array([found[trial].score for trial in trials])
    runs = np.array([[level for _, level in trial.choice.levels[: len(early)]] for trial in trials])
    ranked = [np.argsort(-means, kind="stable") for means in average_levels(runs, scores)]
    choice = trials[0].choice
    for factor, order in zip(early, ranked, strict=True):
        choice = choice.replace(factor.name, int(order[0]))
    return choice, {f.name: int(order[1]) for f, order in zip(early, ranked, strict=True)}


def confirm(
    ask: Ask, factors: Sequence[Factor], proposed: Choice, runners_up: Mapping[str, int], *, folds: int, steps: int
) -> tuple[Choice, tuple[Gain, ...], float | None]:
    """The proposal with the factors changed that the comparison changes, what each was worth, and the clash of `Found`.

    Late factors are not among them.
    """
    levels = dict(proposed.levels)
    rivals = {factor.name: 0 if levels[factor.name] else runners_up[factor.name] for factor in factors}
    changed = {name: proposed.replace(name, rival) for name, rival in rivals.items()}
    is_dear = {f.name: f.levels[levels[f.name]].cost > f.levels[0].cost for f in factors}
    places: dict[Choice, Place] = {
        changed[name]: "bolder" if rival else "cheaper" if is_dear[name] else "milder" for name, rival in rivals.items()
    }
    differences = compare(ask, proposed, places, folds=folds, steps=steps)
    choice, gains, single = proposed, [], {proposed: ""}
    for name, rival in rivals.items():
        mild, bolder = sorted((levels[name], rival))
        difference = differences[changed[name]]
        gained = difference if bolder == rival else -difference
        gains.append(Gain(name, bolder, mild, sum_points(gained), find_cautious_error(gained)))
        if is_better(difference, places[changed[name]]):
            choice = choice.replace(name, rival)
            single[changed[name]] = name
    found = ask([Trial(each, fold, steps) for each in (choice, *single) for fold in range(folds)])
    ranked = sorted(single, key=lambda each: -sum_points(_gather(found, each, folds, steps)))
    lead = _differ(found, ranked[0], choice, folds, steps)
    if sum_points(lead) <= find_cautious_error(lead):
        return choice, tuple(gains), None
    kept = proposed
    changes = [each for each in ranked if each != proposed]
    for name in (single[each] for each in sorted(changes, key=lambda each: places[each] != "cheaper")):
        trial, place = kept.replace(name, rivals[name]), places[changed[name]]
        if is_better(compare(ask, kept, {trial: place}, folds=folds, steps=steps)[trial], place):
            kept = trial
    return kept, tuple(gains), sum_points(lead)


def is_better(difference: Credits, place: Place) -> bool:
    """Whether a rival replaces a choice: credits of the rival minus those of the choice."""
    points, error = sum_points(difference), find_cautious_error(difference)
    return {"bolder": points > error, "milder": points >= 0, "cheaper": points >= -error}[place]


def compare(
    ask: Ask, choice: Choice, rivals: Mapping[Choice, Place], *, folds: int, steps: int
) -> dict[Choice, Credits]:
    """Credits of each rival minus those of the choice, in points of the whole score.

    They are those of the first fold, weighing as much as all images, where that agrees with the choice or is clearly
    against it; else those of all images. rivals: what each is beside the choice.
    """
    found = ask([Trial(each, 0, steps) for each in (choice, *rivals)])
    share = found[Trial(choice, 0, steps)].weights.sum()
    differences = {each: _differ(found, each, choice, 1, steps) / share for each in rivals}
    is_open = []
    for each, difference in differences.items():
        points, error = sum_points(difference), find_cautious_error(difference)
        agrees = {"bolder": points <= 0, "milder": points < 0, "cheaper": points < -error}[rivals[each]]
        if folds > 1 and not agrees and points <= CLEAR * error:
            is_open.append(each)
    if is_open:
        found = ask([Trial(each, fold, steps) for each in (choice, *is_open) for fold in range(folds)])
        differences |= {each: _differ(found, each, choice, folds, steps) for each in is_open}
    return differences


def challenge(ask: Ask, factor: Factor, choice: Choice, *, folds: int, steps: int) -> tuple[Choice, Gain]:
    """The choice with another level of a late factor, if that is better by more than an error, and what it is worth."""
    rivals = [choice.replace(factor.name, level) for level in range(1, len(factor.levels))]
    found = ask([Trial(each, 0, steps) for each in (choice, *rivals)])
    level, rival = max(enumerate(rivals, start=1), key=lambda each: found[Trial(each[1], 0, steps)].score)
    difference = compare(ask, choice, {rival: "bolder"}, folds=folds, steps=steps)[rival]
    gain = Gain(factor.name, level, 0, sum_points(difference), find_cautious_error(difference))
    return rival if is_better(difference, "bolder") else choice, gain


def lengthen(ask: Ask, choice: Choice, *, folds: int, steps: int, most_steps: int) -> list[Length]:
    """The lengths tried: steps, twice as many and so on, until a gain is within a standard error, or too long."""

    def answer(length: int) -> Credits:
        found = ask([Trial(choice, fold, length, mixup=True) for fold in range(folds)])
        return _gather(found, choice, folds, length, mixup=True)

    return list(double_steps(answer, steps=steps, most_steps=most_steps))


def is_choice(first_length: int, most_steps: int) -> bool:
    """Whether there is more than one length to choose from."""
    return 2 * first_length <= most_steps


def _gather(found: Mapping[Trial, Answers], choice: Choice, folds: int, steps: int, mixup: bool = False) -> Credits:
    """Credits of all images, each from the network that did not see it; those of a unit are summed."""
    parts = [found[Trial(choice, fold, steps, mixup)] for fold in range(folds)]
    units = [part.units for part in parts if part.units is not None]
    credits = np.concatenate([np.where(part.correct, part.weights, 0) for part in parts])
    return sum_draws(credits, np.concatenate(units) if units else None)


def _differ(found: Mapping[Trial, Answers], one: Choice, other: Choice, folds: int, steps: int) -> Credits:
    return _gather(found, one, folds, steps) - _gather(found, other, folds, steps)
