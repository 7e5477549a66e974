"""The races in a plan: the trainings that the stages will make, and their share of what they prepare."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ops.planning.plan import plan_expansion
from ops.planning.races import describe_races, list_races
from ops.planning.work import count_work
from ops.recipe.control import SHARE, build_schedule
from ops.recipe.loading import load_recipe
from ops.recipe.schema import Recipe
from ops.recipe.sections import PlanSettings

DEMO = Path(__file__).parents[3] / "recipes" / "fashion-flow.yaml"
SIMCLR: dict[str, Any] = {"trainer": "simclr", "strength": "auto"}
BOTH: dict[str, Any] = {**SIMCLR, "real_weight": "auto"}


def parse(baselines: dict[str, Any], expanded: dict[str, Any]) -> Recipe:
    keys = load_recipe(DEMO).model_dump(mode="json")
    return Recipe.model_validate({**keys, "baselines": {"real": {}, **baselines}, "expanded": expanded})


def test_a_plan_counts_each_training_of_the_races_once() -> None:
    recipe = parse({"simclr": SIMCLR}, {"one": BOTH, "again": BOTH, "other": {**BOTH, "ratio": 1.0}})
    classifier = recipe.classifier
    schedule = build_schedule(classifier.steps, classifier.seeds)
    halving = sum(each.total for each in schedule.rounds)
    sums = [
        sum(steps for phase in list_races(classifier, arms, is_expanded=is_expanded) for _, steps in phase)
        for arms, is_expanded in ((recipe.baselines, False), (recipe.expanded, True))
    ]
    assert sums == [halving, 2 * halving + 3 * schedule.deciding.total]  # the real winner decides for both
    found = describe_races(recipe)
    assert found is not None and found["steps"] == sum(sums)
    assert found["final_steps"] == 3 * classifier.seeds * classifier.steps and found["share"] <= SHARE


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
