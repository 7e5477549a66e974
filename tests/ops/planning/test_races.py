"""The races in a plan: the trainings that the stages will make, and their share of what they prepare."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ops.planning.plan import plan_expansion
from ops.planning.races import describe_races, list_races
from ops.planning.work import count_work
from ops.recipe.control import SHARE, Round, build_schedule
from ops.recipe.loading import load_recipe
from ops.recipe.schema import Recipe
from ops.recipe.sections import PlanSettings

DEMO = Path(__file__).parents[3] / "recipes" / "fashion-flow.yaml"
SIMCLR: dict[str, Any] = {"trainer": "simclr", "strength": "auto"}
BOTH: dict[str, Any] = {**SIMCLR, "real_weight": "auto"}


def parse(baselines: dict[str, Any], expanded: dict[str, Any]) -> Recipe:
    keys = load_recipe(DEMO).model_dump(mode="json")
    return Recipe.model_validate({**keys, "baselines": {"real": {}, **baselines}, "expanded": expanded})


def count_steps(part: Round) -> int:
    return part.contenders * part.seeds * part.steps


def test_a_plan_counts_each_training_of_the_races_once() -> None:
    recipe = parse({"simclr": SIMCLR}, {"one": BOTH, "again": BOTH, "other": {**BOTH, "ratio": 1.0}})
    classifier = recipe.classifier
    schedule = build_schedule(classifier.steps, classifier.seeds)
    halving = sum(count_steps(each) for each in schedule.rounds)
    sums = [
        sum(steps for phase in list_races(classifier, arms, is_expanded=is_expanded) for _, steps in phase)
        for arms, is_expanded in ((recipe.baselines, False), (recipe.expanded, True))
    ]
    assert sums == [halving, 2 * halving + 3 * count_steps(schedule.deciding)]  # the real winner decides for both
    found = describe_races(recipe)
    assert found is not None and found["steps"] == sum(sums) and found["allowed"] == SHARE
    assert found["final_steps"] == 3 * classifier.seeds * classifier.steps and found["share"] <= SHARE


PLAIN: dict[str, Any] = {"strength": "auto"}
CUT: dict[str, Any] = {**PLAIN, "pairing": "cutmix"}
MIXED = parse(
    {"a": PLAIN, "b": CUT, "c": SIMCLR},
    {
        "a1": {**PLAIN, "real_weight": "auto"},
        "a2": {**PLAIN, "real_weight": "auto", "ratio": 1.0},
        "b1": {**CUT, "real_weight": "auto"},
        "b2": {**CUT, "real_weight": 3.0},
        "c1": BOTH,
    },
)


def choose(baselines: str, expanded: str, steps: int, seeds: int) -> Recipe:
    """Some of the arms of `MIXED`, trained so long."""
    sides = ((MIXED.baselines, baselines), (MIXED.expanded, expanded))
    chosen = [{name: arms[name] for name in names.split()} for arms, names in sides]
    classifier = MIXED.classifier.model_copy(update={"steps": steps, "seeds": seeds})
    return MIXED.model_copy(update={"baselines": chosen[0], "expanded": chosen[1], "classifier": classifier})


@pytest.mark.parametrize(("steps", "seeds"), [(20, 3), (137, 1), (800, 5), (3, 40), (100_000, 200)])
@pytest.mark.parametrize(
    ("baselines", "expanded", "raced", "deciding"),
    [
        ("a", "", 1, 0),
        ("a", "a1", 2, 2),
        ("b", "b2", 2, 0),
        ("a b", "a1 a2", 4, 3),  # one counterpart for both
        ("a b", "a1 b1", 4, 4),
        ("a b c", "a1 a2 b1 b2 c1", 8, 7),
    ],
)
def test_races_take_at_most_their_share_whatever_they_serve(
    baselines: str, expanded: str, raced: int, deciding: int, steps: int, seeds: int
) -> None:
    found, schedule = describe_races(choose(baselines, expanded, steps, seeds)), build_schedule(steps, seeds)
    halving = sum(count_steps(each) for each in schedule.rounds)
    assert found is not None and found["steps"] == raced * halving + deciding * count_steps(schedule.deciding)
    assert found["final_steps"] == raced * seeds * steps and found["steps"] <= SHARE * found["final_steps"]


def test_arms_that_share_a_counterpart_train_its_winner_once() -> None:
    found = describe_races(choose("a b", "a1 a2", 800, 5))
    assert found is not None and found["steps"] == 4 * 8 * 85 + 3 * 3 * 170  # 4,250


def test_the_work_of_a_side_begins_with_its_races() -> None:
    plan = plan_expansion(np.array([40] * 3), ("a", "b", "c"), PlanSettings())
    auto, fixed = (
        count_work(parse({"simclr": keys}, {"y": {**keys, "real_weight": weight}}), plan, (28, 28, 1), 3, None)
        for keys, weight in ((SIMCLR, "auto"), ({"trainer": "simclr"}, 10.0))
    )
    for raced, plain in ((auto.baselines, fixed.baselines), (auto.expanded, fixed.expanded)):
        assert [len(phase) for phase in raced[-2:]] == [len(phase) for phase in plain] and len(raced) > len(plain)
    assert set(auto.units) == set(fixed.units)  # a step costs the same at any strength
    assert describe_races(parse({}, {"expanded": {}})) is None
