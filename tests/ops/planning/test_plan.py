"""The plan's counts against their definitions: the ratio, water-filling, the overdraw."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops.planning.plan import ExpansionPlan, estimate_bytes, plan_expansion
from ops.recipe.sections import PlanSettings

COUNTS = st.lists(st.integers(1, 5_000), min_size=1, max_size=30)
RATIOS = st.floats(0.01, 1_000, allow_nan=False)


def make_plan(counts: list[int], **keys: object) -> ExpansionPlan:
    names = tuple(f"class {i}" for i in range(len(counts)))
    return plan_expansion(np.array(counts), names, PlanSettings.model_validate({"budget": 1000.0, **keys}))


def wanted(plan: ExpansionPlan) -> list[int]:
    return [entry.wanted for entry in plan.classes]


def test_keep_grows_every_class_by_the_ratio() -> None:
    assert wanted(make_plan([100, 20, 3], ratio=5.0)) == [500, 100, 15]


def test_equalise_spends_the_same_total_on_equally_large_classes() -> None:
    plan = make_plan([100, 20, 60], ratio=1.0, balance="equalise")
    assert wanted(plan) == [20, 100, 60]


def test_equalise_gives_nothing_to_a_class_that_is_larger_than_the_level() -> None:
    plan = make_plan([1_000, 10, 20], ratio=0.5, balance="equalise")
    assert wanted(plan) == [0, 262, 252]


def test_equalise_of_equal_classes_is_keep() -> None:
    assert make_plan([25] * 4, ratio=2.0, balance="equalise") == make_plan([25] * 4, ratio=2.0, balance="keep")


def test_classes_keep_their_order_names_and_real_counts() -> None:
    plan = make_plan([7, 300, 2], ratio=1.5, balance="equalise")
    assert [(entry.name, entry.real) for entry in plan.classes] == [("class 0", 7), ("class 1", 300), ("class 2", 2)]


def test_a_class_that_is_left_out_wants_draws_and_may_draw_nothing() -> None:
    plan = make_plan([100, 20, 3], ratio=5.0)
    less = plan.without({"class 1": "why", "unknown": "why"})
    assert (less.classes[0], less.classes[2]) == (plan.classes[0], plan.classes[2]) and less.rounds == plan.rounds
    left_out = less.classes[1]
    assert (left_out.real, left_out.wanted, left_out.drawn, left_out.limit) == (20, 0, 0, 0)
    assert plan.without({}) == plan


@given(counts=COUNTS, ratio=RATIOS)
@settings(deadline=None)
def test_keep_is_the_ratio_rounded_per_class(counts: list[int], ratio: float) -> None:
    for real, want in zip(counts, wanted(make_plan(counts, ratio=ratio)), strict=True):
        assert abs(want - real * ratio) <= 0.5


@given(counts=COUNTS, ratio=RATIOS)
@settings(deadline=None)
def test_equalise_is_never_negative_and_spends_about_the_budget(counts: list[int], ratio: float) -> None:
    plan = make_plan(counts, ratio=ratio, balance="equalise")
    assert min(wanted(plan)) >= 0
    assert abs(plan.wanted - ratio * sum(counts)) <= len(counts) / 2 + 1e-6 * plan.wanted


@given(counts=COUNTS, ratio=RATIOS)
@settings(deadline=None)
def test_equalise_ends_equal_unless_a_class_was_larger_already(counts: list[int], ratio: float) -> None:
    plan = make_plan(counts, ratio=ratio, balance="equalise")
    filled = [entry for entry in plan.classes if entry.wanted]
    sizes = {entry.real + entry.wanted for entry in filled}
    assert len(sizes) <= 1
    for entry in plan.classes:
        if not entry.wanted and sizes:
            assert entry.real >= max(sizes)


@given(counts=COUNTS, ratio=RATIOS, overdraw=st.floats(1, 100))
@settings(deadline=None)
def test_overdraw_draws_at_least_what_is_wanted_and_hardly_more_than_asked(
    counts: list[int], ratio: float, overdraw: float
) -> None:
    for entry in make_plan(counts, ratio=ratio, overdraw=overdraw).classes:
        assert entry.wanted <= entry.drawn
        assert entry.wanted * overdraw <= entry.drawn < entry.wanted * overdraw + 1


def test_without_overdraw_exactly_the_wanted_images_are_drawn() -> None:
    plan = make_plan([100, 7], ratio=3.0, overdraw=1.0)
    assert plan.drawn == plan.wanted == 321


@given(counts=COUNTS, ratio=RATIOS)
@settings(deadline=None, max_examples=20)
def test_plan_survives_json(counts: list[int], ratio: float) -> None:
    plan = make_plan(counts, ratio=ratio)
    described = plan.to_dict()
    assert ExpansionPlan.from_dict(described) == plan
    assert described["drawn"] == sum(entry["drawn"] for entry in described["classes"])


def test_names_that_do_not_fit_the_counts_are_refused() -> None:
    with pytest.raises(ValueError, match="zip"):
        plan_expansion(np.array([1, 2]), ("a",), PlanSettings())


def test_bytes_grow_with_the_drawn_images() -> None:
    plan = make_plan([100], ratio=1.0, overdraw=2.0)
    assert 200 * 28 * 28 <= estimate_bytes(plan, (28, 28, 1)) <= 2 * 200 * 28 * 28
