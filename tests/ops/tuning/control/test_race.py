"""The races: who goes on, from which seeds, for how many steps; trainings are answered from a table of true worths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ops.classifiers.examples import Examples
from ops.classifiers.racing import pack_bits
from ops.classifiers.runs import Contest, Result, Run
from ops.machine.progress import Progress
from ops.recipe.arms import Arm
from ops.recipe.classifiers import ClassifierSettings
from ops.recipe.control import Round, Schedule, build_schedule
from ops.tuning.control import race
from ops.tuning.control.race import RACING_OFFSET, Side, count_trainings, hold_rounds, let_decide
from ops.tuning.control.start import Choice
from ops.tuning.control.telling import describe_best, describe_decision, describe_rounds

IMAGES, STEPS, SEEDS = 100, 800, 5
SCHEDULE = build_schedule(STEPS, SEEDS)
STRENGTHS = [Choice(1.0), Choice(0.5), Choice(0.75), Choice(0.25)]
WEIGHTED = [Choice(1.0, 10.0), Choice(0.5, 10.0), Choice(1.0, 31.6), Choice(0.5, 3.16)]
PROGRESS = Progress(lambda line: None, "race", 1, "trainings")


def make_side(choices: Sequence[Choice], images: str = "real", **keys: Any) -> Side:
    examples = Examples(np.zeros((4, 1, 4, 4), np.uint8), np.arange(4) % 2, np.ones(4))
    held = np.zeros((IMAGES, 1, 4, 4), np.uint8), np.zeros(IMAGES, np.int64)
    settings = ClassifierSettings(steps=STEPS, seeds=SEEDS)
    contest = Contest({}, (examples,), 3_000, held, settings, "accuracy", 2, Path("unused"))
    return Side(images, contest, Arm.model_validate({"strength": "auto", **keys}), choices)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, float | None, int, int]]:
    """Strength, N, steps and seed of each training; right on so many images: 60, more for weaker views, N and steps."""
    made: list[tuple[float, float | None, int, int]] = []

    def answer(
        contest: Contest, runs: Sequence[Run], workers: int, progress: Progress, before: int
    ) -> Mapping[Run, Result]:
        found = {}
        for run in runs:
            arm = contest.arms[run.arm]
            assert isinstance(arm.strength, float) and not isinstance(arm.real_weight, str)
            made.append((arm.strength, arm.real_weight, contest.find_steps(run.setting), run.seed))
            right = 60 + 20 * (1 - arm.strength) + (arm.real_weight or 0) + contest.find_steps(run.setting) // 100
            bits = np.roll(np.arange(IMAGES) < right, run.seed % 7)
            found[run] = Result(run, float(bits.mean()), (), pack_bits(bits), (), {}, Path())
        return found

    monkeypatch.setattr(race, "train_runs", answer)
    return made


def test_half_go_on_to_twice_the_steps_and_the_best_wins(asked: list[tuple[float, float | None, int, int]]) -> None:
    found = hold_rounds(make_side(STRENGTHS), SCHEDULE, workers=1, progress=PROGRESS)
    assert [(strength, steps) for strength, _, steps, _ in asked] == [
        (1.0, 85), (0.5, 85), (0.75, 85), (0.25, 85), (0.5, 170), (0.25, 170),
    ]  # fmt: skip
    assert found.winner == Choice(0.25)
    assert found.scores == {
        Choice(1.0): (0.6,), Choice(0.5): (0.7, 0.71), Choice(0.75): (0.65,), Choice(0.25): (0.75, 0.76),
    }  # fmt: skip
    assert [(row["strength"], row["won"]) for row in found.to_list()] == [
        (1.0, False), (0.5, False), (0.75, False), (0.25, True),
    ]  # fmt: skip
    assert len(asked) == count_trainings(SCHEDULE, sides=1, decides=False)
    assert "after 170 steps strength 0.5 71.0 %, strength 0.25 76.0 %" in describe_rounds(found, SCHEDULE)
    assert describe_best("y", found.winner, SCHEDULE) == "y takes strength 0.25, the best of 4 settings on validation"


def test_seeds_that_decide_were_in_no_round_and_none_is_judged(
    asked: list[tuple[float, float | None, int, int]],
) -> None:
    real, inflated = make_side(STRENGTHS), make_side(WEIGHTED, real_weight="auto")
    halvings = [hold_rounds(side, SCHEDULE, workers=1, progress=PROGRESS) for side in (real, inflated)]
    raced = {seed for *_, seed in asked}
    del asked[:]
    winners = halvings[0].winner, halvings[1].winner
    found = let_decide(real, inflated, winners, SCHEDULE, workers=1, progress=PROGRESS)
    fresh = {seed for *_, seed in asked}
    assert raced == {3_000 + RACING_OFFSET, 3_001 + RACING_OFFSET} and len(fresh) == 3 and not fresh & raced
    judged = {*real.contest.seeds, *range(3_000, 3_200), real.contest.trying_seed, 3_999}
    assert not judged & (raced | fresh)
    assert {(strength, weight, steps) for strength, weight, steps, _ in asked} == {(0.25, None, 170), (1.0, 31.6, 170)}
    assert found.real == pytest.approx(0.76) and found.inflated == pytest.approx(0.93) and found.uses_generated
    sentence = describe_decision("y", *winners, found, SCHEDULE)
    assert sentence.startswith("y uses its generated images: with them strength 1, N 31.6 is 17.0 points better on")
    assert "at least" in sentence and sentence.endswith("(3 fresh seeds of 170 steps each)")


def test_rounds_of_several_seeds_share_none(asked: list[tuple[float, float | None, int, int]]) -> None:
    schedule = Schedule((Round(4, 2, 10), Round(2, 3, 20)), Round(1, 4, 20))
    real, inflated = make_side(STRENGTHS), make_side(WEIGHTED, real_weight="auto")
    winner = hold_rounds(real, schedule, workers=1, progress=PROGRESS).winner
    let_decide(real, inflated, (winner, WEIGHTED[0]), schedule, workers=1, progress=PROGRESS)
    seeds = [seed - 3_000 - RACING_OFFSET for *_, seed in asked]
    assert seeds == [*[0, 1] * 4, *[2, 3, 4] * 2, *[5, 6, 7, 8] * 2]


def test_equal_settings_on_other_images_are_other_trainings(monkeypatch: pytest.MonkeyPatch) -> None:
    names = []

    def note(contest: Contest, runs: Sequence[Run], *_: object) -> Mapping[Run, Result]:
        names.extend(run.file_name for run in runs)
        return {run: Result(run, 1.0, (), pack_bits(np.ones(IMAGES, bool)), (), {}, Path()) for run in runs}

    monkeypatch.setattr(race, "train_runs", note)
    for images in ("real", "inflated", "real"):
        hold_rounds(make_side(STRENGTHS, images), SCHEDULE, workers=1, progress=PROGRESS)
    assert len(names) == 18 and len(set(names)) == 12 and names[:6] == names[12:]


@pytest.mark.parametrize(("own", "raced"), [({"real_weight": 5.0}, {"real_weight": 5.0}), ({}, {})])
def test_where_the_grid_tries_more_the_arm_races_at_its_own_numbers(
    own: dict[str, float], raced: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    met = []

    def note(contest: Contest, runs: Sequence[Run], *_: object) -> Mapping[Run, Result]:
        met.extend(run.setting.to_dict() for run in runs)
        return {run: Result(run, 1.0, (), pack_bits(np.ones(IMAGES, bool)), (), {}, Path()) for run in runs}

    monkeypatch.setattr(race, "train_runs", note)
    side = make_side(STRENGTHS, "inflated", loss={"kind": "logit_adjusted", "tau": 1.0}, **own)
    (examples,) = side.contest.training
    grid = {"learning_rate": [0.1], "real_weight": [2.0, 5.0], "loss.tau": [0.5, 1.0]}
    contest = replace(
        side.contest,
        training=(replace(examples, is_generated=np.arange(4) > 1),),
        settings=ClassifierSettings.model_validate({"steps": STEPS, "seeds": SEEDS, "grid": grid}),
    )
    hold_rounds(replace(side, contest=contest), SCHEDULE, workers=1, progress=PROGRESS)
    first = {"learning_rate": 0.1, "weight_decay": 0.1, "loss.tau": 1.0, **raced}
    assert met == [first | {"steps": 85}] * 4 + [first | {"steps": 170}] * 2


def test_both_sides_cost_equally_many_trainings() -> None:
    assert count_trainings(SCHEDULE, sides=2, decides=True) == 2 * (4 + 2) + 2 * 3
    assert count_trainings(build_schedule(600, 3), sides=2, decides=True) == 2 * 2 + 2 * 3
