"""The schedule of the controller's races: its arithmetic, and that it never costs more than it may."""

from __future__ import annotations

from itertools import pairwise

import pytest

from ops.recipe.control import DECIDING_SEEDS, SHARE, Round, build_schedule

BUDGETS = [
    (steps, seeds)
    for steps in (3, 20, 24, 137, 800, 100_000)
    for seeds in (1, 2, 3, 5, 9, 40, 200)
    if SHARE * steps * seeds >= 9
]


@pytest.mark.parametrize(("steps", "seeds"), BUDGETS)
def test_a_side_never_costs_more_than_its_share(steps: int, seeds: int) -> None:
    schedule = build_schedule(steps, seeds)
    counted = sum(each.contenders * each.seeds * each.steps for each in schedule.rounds)
    assert counted + DECIDING_SEEDS * schedule.deciding.steps <= SHARE * steps * seeds
    assert max(each.steps for each in (*schedule.rounds, schedule.deciding)) <= steps


@pytest.mark.parametrize(("steps", "seeds"), BUDGETS)
def test_contenders_halve_while_their_trainings_double(steps: int, seeds: int) -> None:
    rounds = build_schedule(steps, seeds).rounds
    assert rounds[0].contenders in (2, 4) and rounds[-1].contenders == 2
    for before, after in pairwise(rounds):
        assert (before.contenders, 2 * before.steps) == (2 * after.contenders, after.steps)


def test_more_seeds_allow_more_contenders_and_longer_races() -> None:
    few, some, many = (build_schedule(600, seeds) for seeds in (3, 5, 10))
    assert few.rounds == (Round(2, 1, 67),) and few.deciding == Round(1, 3, 134)  # 0.3 * 1800 steps in 8 units
    assert some.rounds == (Round(4, 1, 64), Round(2, 1, 128)) and some.deciding.steps == 128  # 900 in 14
    assert many.rounds[0].steps == 128 and build_schedule(600, 200).deciding.steps == 600
    assert few.contenders == 2 and some.contenders == 4
    short, shorter = build_schedule(470, 5), build_schedule(460, 5)  # 50 steps are the fewest of the wide race
    assert short.rounds[0] == Round(4, 1, 50) and shorter.rounds == (Round(2, 1, 86),)


@pytest.mark.parametrize(("steps", "seeds"), [(1, 1), (1, 50), (8, 3), (26, 1)])
def test_too_short_trainings_leave_nothing_for_a_race(steps: int, seeds: int) -> None:
    with pytest.raises(ValueError, match=rf"^{seeds} trainings of {steps} steps leave none for a race, which may take"):
        build_schedule(steps, seeds)
