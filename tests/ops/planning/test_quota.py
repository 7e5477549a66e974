"""Rounds: how much each draws, that quotas are met, and that every reason to stop is distinguished."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops.generators.units import Unit, list_classes
from ops.planning.plan import ClassPlan, ExpansionPlan
from ops.planning.quota import (
    GROWTH,
    STALL_DRAWS,
    Quota,
    Round,
    bound_rate,
    explain_stops,
    join_stops,
    plan_round,
    share_plan,
)


def make_plan(*classes: tuple[int, int, int]) -> ExpansionPlan:
    """Of (wanted, drawn, limit) for each class."""
    return ExpansionPlan(tuple(ClassPlan(f"c{i}", 10, *entry) for i, entry in enumerate(classes)), 5)


def make_quotas(*units: tuple[int, int, int]) -> list[Quota]:
    """Of (wanted, drawn, limit) for each unit."""
    return [Quota(*entry) for entry in units]


def simulate(quotas: list[Quota], rates: list[float], most: int = 5, seed: int = 0) -> list[Round]:
    """All rounds of a generator whose images of unit i pass with probability rates[i]."""
    rng, rounds = np.random.default_rng(seed), []
    while any(drawn := plan_round(quotas, rounds, most)):
        rounds.append(Round(drawn, tuple(rng.binomial(drawn, rates).tolist())))
    return rounds


def test_the_first_round_is_the_plans() -> None:
    assert plan_round(make_quotas((100, 130, 400), (0, 0, 0)), [], 5) == (130, 0)


def test_a_later_round_draws_only_for_short_units_and_a_little_more_than_their_rate_needs() -> None:
    quotas = make_quotas((100, 200, 800), (100, 200, 800), (100, 200, 800))
    rounds = [Round((200, 200, 200), (100, 50, 99))]
    none, many, one = plan_round(quotas, rounds, 5)
    assert none == 0
    assert 200 < many < 260  # 50 missing at a rate of 1/4
    assert one == 3  # 1 missing at a rate of 1/2, planned with a little less


def test_the_bound_lies_about_a_standard_error_below_the_rate() -> None:
    assert bound_rate(0, 0) == 0
    assert bound_rate(0, 20) == 0
    assert bound_rate(20, 20) == pytest.approx(20 / 21, abs=1e-3)
    low = bound_rate(30, 100)
    assert (0.3 - low) ** 2 == pytest.approx(low * (1 - low) / 100, rel=0.02)  # Wilson's equation at one error


def test_each_reason_to_stop_has_its_word() -> None:
    quotas = make_quotas((100, 130, 400), (100, 130, 150), (100, 130, 400), (100, 130, 400))
    rounds = [Round((130, 130, 130, 130), (100, 20, 0, 60)), Round((0, 20, 0, 90), (0, 4, 0, 30))]
    assert plan_round(quotas, rounds, 2) == (0, 0, 0, 0)
    assert explain_stops(quotas, rounds) == ["quota", "budget", "stall", "rounds"]


def test_a_class_without_accepted_images_is_drawn_again_only_after_a_small_round() -> None:
    quotas = make_quotas((100, STALL_DRAWS, 400), (100, STALL_DRAWS - 1, 400))
    assert plan_round(quotas, [Round((STALL_DRAWS, STALL_DRAWS - 1), (0, 0))], 5) == (0, GROWTH * (STALL_DRAWS - 1))


@pytest.mark.parametrize("rate", [0.05, 0.3, 0.9])
def test_quotas_are_met_in_a_few_rounds_with_few_images_too_many(rate: float) -> None:
    quotas = make_quotas((500, 650, 50_000))
    needed, extra = [], []
    for seed in range(20):
        rounds = simulate(quotas, [rate], 20, seed)
        accepted = sum(r.accepted[0] for r in rounds)
        assert accepted >= 500
        assert explain_stops(quotas, rounds) == ["quota"]
        needed.append(len(rounds))
        extra.append(accepted - 500)
    assert np.mean(needed) <= 3.5
    if rate < 0.7:  # at a higher rate the first round alone exceeds the quota
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
    quotas = make_quotas(*((count, count, count * limit) for count in wanted))
    made = simulate(quotas, [rate] * len(wanted), rounds)
    assert len(made) <= rounds
    for label, entry in enumerate(quotas):
        assert sum(r.drawn[label] for r in made) <= entry.limit
    stops = explain_stops(quotas, made)
    for label, (entry, stop) in enumerate(zip(quotas, stops, strict=True)):
        assert (stop == "quota") == (sum(r.accepted[label] for r in made) >= entry.wanted)


def test_a_class_of_one_unit_keeps_its_numbers_and_seed_images_share_them() -> None:
    plan = make_plan((7, 10, 28), (2, 3, 8), (0, 0, 0))
    assert share_plan(plan, list_classes(("a", "b", "c"))) == (Quota(7, 10, 28), Quota(2, 3, 8), Quota(0, 0, 0))
    units = [Unit(key, label, key) for key, label in (("p", 0), ("q", 0), ("r", 0), ("s", 1))]
    assert share_plan(plan, units) == (Quota(3, 4, 12), Quota(2, 3, 8), Quota(2, 3, 8), Quota(2, 3, 8))
    with pytest.raises(ValueError, match="class 'c0' is to grow"):
        share_plan(plan, units[3:])


@given(st.integers(0, 90), st.floats(1, 3), st.floats(3, 9), st.integers(1, 40))
@settings(deadline=None, max_examples=60)
def test_shares_add_up_and_no_unit_may_draw_less_than_it_wants(
    wanted: int, overdraw: float, budget: float, members: int
) -> None:
    whole = (wanted, math.ceil(wanted * overdraw), math.ceil(wanted * budget))
    quotas = share_plan(make_plan(whole), [Unit(str(i), 0, str(i)) for i in range(members)])
    assert tuple(sum(getattr(quota, key) for quota in quotas) for key in ("wanted", "drawn", "limit")) == whole
    assert all(quota.wanted <= quota.drawn <= quota.limit for quota in quotas)
    assert max(quota.wanted for quota in quotas) - min(quota.wanted for quota in quotas) <= 1
    assert all(quota == Quota(0, 0, 0) for quota in quotas if not quota.wanted)
    for quota in quotas:
        for found, total in ((quota.drawn, whole[1]), (quota.limit, whole[2])):
            assert abs(found - total * quota.wanted / max(1, wanted)) < 2


def test_seed_images_that_want_no_variant_are_not_drawn() -> None:
    units = [Unit(str(i), 0, str(i)) for i in range(5)]
    assert share_plan(make_plan((2, 7, 9)), units) == (Quota(1, 4, 5), Quota(1, 3, 4), *[Quota(0, 0, 0)] * 3)


def test_a_class_stops_for_the_commonest_reason_of_its_short_units() -> None:
    units = [Unit(str(i), label, str(i)) for i, label in enumerate((0, 0, 0, 0, 1, 1))]
    stops = ["quota", "budget", "rounds", "budget", "quota", "quota"]
    assert join_stops(stops, units, 3) == ["budget", "quota", "quota"]
