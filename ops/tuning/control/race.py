"""Race settings of an arm by successive halving on validation, and let the two best ones of both sides decide.

Trainings are those of any contest: finished ones are files, and equal ones of other stages and recipes are kept, so the
races of real images alone that the baselines have held are not trained again. Where the grid tries several settings,
races take the arm's own numbers, and the first rate and decay. Seeds of the races are never judged. It sees training
and validation images only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

import numpy as np

from ops.classifiers.racing import unpack_bits
from ops.classifiers.runs import Contest, Result, Run, train_runs
from ops.files.hashing import hash_json
from ops.machine.progress import Progress
from ops.recipe.arms import Arm
from ops.recipe.automatic import settle_arm
from ops.recipe.control import Round, Schedule
from ops.recipe.grid import Setting, keep_own_numbers
from ops.tuning.control.decision import Decision, decide, keep_best
from ops.tuning.control.start import Choice
from ops.verdict.metric import score_answers
from ops.verdict.reference import choose_checked_metric

RACING_OFFSET = 600  # from the first seed: judged ones and the one that tries settings are elsewhere


@dataclass(frozen=True, eq=False)
class Side:
    """The settings `choices` of an arm that race on the training images of `contest`, whose own arms do not matter.

    images : a name of these images, apart from those of other sides with the same scratch folder.
    """

    images: str
    contest: Contest
    arm: Arm
    choices: Sequence[Choice]

    def settle(self, choice: Choice) -> Arm:
        """The arm with a choice in the place of auto."""
        return settle_arm(self.arm, strength=choice.strength, real_weight=choice.real_weight)


@dataclass(frozen=True)
class Halving:
    """The rounds of a side: the winner, and the scores 0..1 of each choice, one for each round that it was in."""

    winner: Choice
    scores: Mapping[Choice, tuple[float, ...]]

    def to_list(self) -> list[dict[str, Any]]:
        """Plain JSON, a row for each choice."""
        return [
            {
                "strength": choice.strength,
                "real_weight": choice.real_weight,
                "scores": [round(score, 6) for score in scores],
                "won": choice == self.winner,
            }
            for choice, scores in self.scores.items()
        ]


def count_trainings(schedule: Schedule, *, sides: int, decides: bool) -> int:
    """Trainings of the rounds of so many sides, and of those that decide."""
    return sides * sum(each.contenders * each.seeds for each in schedule.rounds) + 2 * schedule.deciding.seeds * decides


def hold_rounds(side: Side, schedule: Schedule, *, workers: int, progress: Progress, before: int = 0) -> Halving:
    """Train a side's choices round by round; `before` trainings count as done in `progress`."""
    going, scores = list(side.choices), {choice: list[float]() for choice in side.choices}
    labels, metric = side.contest.validation[1], choose_checked_metric(side.contest.metric)
    for number, (each, seeds) in enumerate(zip(schedule.rounds, _list_seeds(schedule)[:-1], strict=True)):
        assert len(going) == each.contenders, "the schedule was made for another number of choices"
        answers = _train(side, going, each, seeds, workers=workers, progress=progress, before=before)
        before += len(going) * each.seeds
        for choice, found in answers.items():
            scores[choice].append(float(score_answers(found, labels, metric).mean()))
        last = number + 1 == len(schedule.rounds)
        left = 1 if last else schedule.rounds[number + 1].contenders
        going = [going[place] for place in keep_best([scores[choice][-1] for choice in going], left)]
    return Halving(going[0], {choice: tuple(found) for choice, found in scores.items()})


def let_decide(
    real: Side,
    inflated: Side,
    winners: tuple[Choice, Choice],
    schedule: Schedule,
    *,
    workers: int,
    progress: Progress,
    before: int = 0,
) -> Decision:
    """Train the winners of the real and of the inflated side from fresh seeds, and compare them."""
    found, seeds = [], _list_seeds(schedule)[-1]
    for side, winner in zip((real, inflated), winners, strict=True):
        answers = _train(side, [winner], schedule.deciding, seeds, workers=workers, progress=progress, before=before)
        before += schedule.deciding.seeds
        found.append(answers[winner])
    return decide(found[0], found[1], real.contest.validation[1], real.contest.metric, real.contest.units)


def _list_seeds(schedule: Schedule) -> list[range]:
    """The seeds of each round and of the trainings that decide, counted from the races' first one: all are others."""
    counts = [each.seeds for each in (*schedule.rounds, schedule.deciding)]
    return [range(end - count, end) for end, count in zip(accumulate(counts), counts, strict=True)]


def _train(
    side: Side,
    choices: Sequence[Choice],
    each: Round,
    seeds: range,
    *,
    workers: int,
    progress: Progress,
    before: int,
) -> dict[Choice, np.ndarray]:
    """Whether right on each validation image, bool [S, n] by choice; seeds count from the races' first one."""
    arms = {choice: side.settle(choice) for choice in choices}
    # By its content, so that a file is never taken for one of other settings.
    names = {choice: f"{side.images}-{hash_json(arm.model_dump(mode='json'))[:24]}" for choice, arm in arms.items()}
    contest = replace(side.contest, arms={names[choice]: arm for choice, arm in arms.items()})
    runs: dict[Choice, list[Run]] = {}
    for choice, name in names.items():
        first = keep_own_numbers(contest.arms[name], contest.list_settings(name)[0])
        setting = Setting(tuple({**first.to_dict(), "steps": each.steps}.items()))
        runs[choice] = [Run(name, setting, contest.first_seed + RACING_OFFSET + seed) for seed in seeds]
    asked = [run for own in runs.values() for run in own]
    done: Mapping[Run, Result] = train_runs(contest, asked, workers, progress, before)
    return {choice: np.stack([unpack_bits(done[run].bits) for run in own]) for choice, own in runs.items()}
