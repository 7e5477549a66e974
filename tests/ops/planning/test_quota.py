"""Rounds: what each asks for, that quotas are met, and that every way to stop is told apart."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops.planning.plan import ClassPlan, ExpansionPlan
from ops.planning.quota import GROWTH, HOPELESS, Round, bound_rate, explain_stops, plan_round


def make_plan(*classes: tuple[int, int, int], rounds: int = 5) -> ExpansionPlan:
    """Of (wanted, drawn, limit) for each class."""
    return ExpansionPlan(tuple(ClassPlan(f"c{i}", 10, *entry) for i, entry in enumerate(classes)), rounds)


def simulate(plan: ExpansionPlan, rates: list[float], seed: int = 0) -> list[Round]:
    """All rounds of a generator whose images of class i pass with probability rates[i]."""
    rng, rounds = np.random.default_rng(seed), []
    while any(drawn := plan_round(plan, rounds)):
        rounds.append(Round(drawn, tuple(rng.binomial(drawn, rates).tolist())))
    return rounds


def test_the_first_round_is_the_plans() -> None:
    assert plan_round(make_plan((100, 130, 400), (0, 0, 0)), []) == (130, 0)


def test_a_later_round_draws_only_what_is_short_and_a_little_more_than_the_rate_asks_for() -> None:
    plan = make_plan((100, 200, 800), (100, 200, 800), (100, 200, 800))
    rounds = [Round((200, 200, 200), (100, 50, 99))]
    none, many, one = plan_round(plan, rounds)
    assert none == 0
    assert 200 < many < 260  # 50 missing at a rate of a quarter
    assert one == 3  # 1 missing at a rate of a half, planned for a little less


def test_the_bound_lies_about_a_standard_error_below_the_rate() -> None:
    assert bound_rate(0, 0) == 0
    assert bound_rate(0, 20) == 0
    assert bound_rate(20, 20) == pytest.approx(20 / 21, abs=1e-3)
    low = bound_rate(30, 100)
    assert (0.3 - low) ** 2 == pytest.approx(low * (1 - low) / 100, rel=0.02)  # Wilson's equation at one error


def test_each_way_to_stop_has_its_word() -> None:
    plan = make_plan((100, 130, 400), (100, 130, 150), (100, 130, 400), (100, 130, 400), rounds=2)
    rounds = [Round((130, 130, 130, 130), (100, 20, 0, 60)), Round((0, 20, 0, 90), (0, 4, 0, 30))]
    assert plan_round(plan, rounds) == (0, 0, 0, 0)
    assert explain_stops(plan, rounds) == ["quota", "budget", "stall", "rounds"]


def test_a_class_that_brings_nothing_is_not_drawn_again_but_a_small_round_says_little() -> None:
    plan = make_plan((100, HOPELESS, 400), (100, HOPELESS - 1, 400))
    assert plan_round(plan, [Round((HOPELESS, HOPELESS - 1), (0, 0))]) == (0, GROWTH * (HOPELESS - 1))


@pytest.mark.parametrize("rate", [0.05, 0.3, 0.9])
def test_quotas_are_met_in_a_few_rounds_with_few_images_too_many(rate: float) -> None:
    plan = make_plan((500, 650, 50_000), rounds=20)
    needed, extra = [], []
    for seed in range(20):
        rounds = simulate(plan, [rate], seed)
        accepted = sum(r.accepted[0] for r in rounds)
        assert accepted >= 500
        assert explain_stops(plan, rounds) == ["quota"]
        needed.append(len(rounds))
        extra.append(accepted - 500)
    assert np.mean(needed) <= 3.5
    if rate < 0.7:  # else the first round alone brings more than is wanted
        assert np.mean(extra) <= 100


@given(
    wanted=st.lists(st.integers(0, 50), min_size=1, max_size=5),
    rate=st.floats(0, 1),
    limit=st.integers(1, 6),
    rounds=st.integers(1, 5),
)
@settings(max_examples=60, deadline=None)
def test_no_class_exceeds_its_budget_nor_the_rounds_their_number(
    wanted: list[int], rate: float, limit: int, rounds: int
) -> None:
    plan = make_plan(*((count, count, count * limit) for count in wanted), rounds=rounds)
    made = simulate(plan, [rate] * len(wanted))
    assert len(made) <= rounds
    for label, entry in enumerate(plan.classes):
        assert sum(r.drawn[label] for r in made) <= entry.limit
    stops = explain_stops(plan, made)
    for label, (entry, stop) in enumerate(zip(plan.classes, stops, strict=True)):
        assert (stop == "quota") == (sum(r.accepted[label] for r in made) >= entry.wanted)
