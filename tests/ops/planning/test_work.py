"""The trainings of a recipe: which arms count as one where classes are equally large."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ops.classifiers.products import count_products
from ops.generators.instance.guessing import count_products as count_encoder
from ops.planning.plan import plan_expansion
from ops.planning.speeds import _count_images
from ops.planning.work import count_work, expect_policy, find_longest, make_unit
from ops.recipe.arms import Arm
from ops.recipe.classifiers import ClassifierSettings
from ops.recipe.ingredients.unlabelled import FixMatch
from ops.recipe.instance import InstanceSettings
from ops.recipe.loading import load_recipe
from ops.recipe.schema import Recipe
from ops.recipe.sections import PlanSettings

PLAN = plan_expansion(np.array([100] * 10), tuple("abcdefghij"), PlanSettings())
DEMO = Path(__file__).parents[3] / "recipes" / "fashion-flow.yaml"
BALANCING = {
    "weighted": {"loss": "class_weighted"},
    "adjusted": {"sampler": "square_root", "loss": {"kind": "logit_adjusted", "tau": 0.5}},
    "late": {"sampler": {"kind": "effective_number", "start": 0.8}},
}
OTHERS = {
    "ldam": {"loss": "ldam"},
    "ldam_late": {"loss": "ldam", "sampler": "class_balanced"},
    "focal": {"loss": "focal"},
}


@pytest.mark.parametrize(
    ("images", "trained"),
    [([40, 40, 40], {"real", "ldam", "focal"}), ([40, 40, 4], {"real", *BALANCING, *OTHERS})],
)
def test_arms_that_only_balance_classes_are_one_where_these_are_equal(images: list[int], trained: set[str]) -> None:
    keys = load_recipe(DEMO).model_dump(mode="json")
    keys["baselines"] = {"real": {}, **BALANCING, **OTHERS}
    keys["classifier"]["grid"] = {"loss.tau": [0.5, 1.0], "weight_decay": [0.1]}
    plan = plan_expansion(np.array(images), ("a", "b", "c"), PlanSettings())
    tried, judged = count_work(Recipe.model_validate(keys), plan, (28, 28, 1), 3, None).baselines
    assert len(tried) == len(trained) + ("adjusted" in trained)
    assert len(judged) == 5 * len(trained)


def test_arms_that_balance_what_pseudo_labels_add_are_none_of_these() -> None:
    keys = load_recipe(DEMO).model_dump(mode="json")
    keys |= {"prior": {"kind": "flow", "pool": "others"}, "generator": {"kind": "prior"}, "sampler": {"strength": 0.4}}
    pseudo = {"unlabelled": "pseudo_labels"}
    keys["baselines"] = {"real": {}, "pseudo": pseudo, "balanced": {**pseudo, "sampler": "class_balanced"}}
    plan = plan_expansion(np.array([40] * 3), ("a", "b", "c"), PlanSettings())
    settings = len(Recipe.model_validate(keys).classifier.grid.list_settings(Arm(), is_expanded=False))
    assert len(count_work(Recipe.model_validate(keys), plan, (28, 28, 1), 3, None).baselines[0]) == 3 * settings


def test_beside_a_probe_rates_are_tried_at_a_seed_that_is_not_judged() -> None:
    keys = load_recipe(DEMO).model_dump(mode="json")
    keys |= {"prior": {"kind": "instance", "pool": "others"}, "generator": {"kind": "prior"}}
    keys["sampler"] = {"strength": 0.4}
    keys["classifier"]["grid"] = {"learning_rate": [0.01, 0.02], "weight_decay": [0.1]}
    plan = plan_expansion(np.array([40] * 3), ("a", "b", "c"), PlanSettings())
    judged = {}
    for arms in ({"real": {}}, {"real": {}, "probe": {"trainer": "probe"}}):
        keys["baselines"] = arms
        recipe = Recipe.model_validate(keys)
        judged[len(arms)] = len(count_work(recipe, plan, (28, 28, 1), 3, None).baselines[1])
    seeds = recipe.classifier.seeds
    assert judged == {1: seeds - 1, 2: 2 * seeds}


def test_arms_that_see_a_pool_are_counted_by_their_networks_steps_and_images() -> None:
    keys = load_recipe(DEMO).model_dump(mode="json")
    keys |= {"prior": {"kind": "instance", "pool": "others"}, "generator": {"kind": "prior"}}
    keys["sampler"] = {"strength": 0.4}
    keys["baselines"] = {
        "real": {}, "fix": {"unlabelled": {"kind": "fixmatch", "ratio": 3.0}},
        "pseudo": {"unlabelled": {"kind": "pseudo_labels", "rounds": 2}}, "probe": {"trainer": "probe"},
        "tuned": {"trainer": "fine_tuned"},
    }  # fmt: skip
    keys["classifier"]["grid"] = {}
    plan, recipe = plan_expansion(np.array([40] * 3), ("a", "b", "c"), PlanSettings()), Recipe.model_validate(keys)
    plain, fix, pseudo, probe, tuned = count_work(recipe, plan, (28, 28, 1), 3, None).baselines[0]
    steps, shape = recipe.classifier.steps, (1, 28, 28)
    assert isinstance(recipe.prior, InstanceSettings)
    share = count_encoder(recipe.prior.encoder, shape) / count_products(recipe.classifier.network, shape)
    assert (plain.steps, fix.steps, pseudo.steps, probe.steps) == (steps, steps, 3 * steps, 0) and probe.more > 0
    assert tuned.steps == round(share * steps)
    assert plain.unit == pseudo.unit == probe.unit == tuned.unit != fix.unit
    assert fix.unit.arm.unlabelled == FixMatch(ratio=3.0, threshold=0.0)  # every answer counts


def test_a_step_without_labels_is_a_unit_of_its_own_and_a_probe_follows() -> None:
    settings = ClassifierSettings(batch_size=64)
    simclr = {"trainer": {"kind": "simclr", "batch_size": 128}, "strength": 0.5}
    mine, plain = (make_unit(settings, Arm.model_validate(keys)) for keys in ({**simclr, "beta": 0.3}, {}))
    assert mine == make_unit(settings, Arm.model_validate(simclr)) and mine != plain
    assert _count_images(mine) == 4 * _count_images(plain) == 4 * 64
    keys = load_recipe(DEMO).model_dump(mode="json")
    keys["baselines"] |= {"simclr": simclr}
    work = count_work(Recipe.model_validate(keys), PLAN, (28, 28, 1), 3, None)
    (found,) = {
        training for phase in work.baselines for training in phase if training.unit.arm.trainer.kind == "simclr"
    }
    assert found.steps == 800 and found.more > 0


def test_a_curve_over_labels_costs_a_training_for_each_share_and_seed() -> None:
    keys = load_recipe(DEMO).model_dump(mode="json")
    assert count_work(Recipe.model_validate(keys), PLAN, (28, 28, 1), 3, None).labels == ()
    keys["report"]["worth"] = {"shares": [0.25, 0.5], "seeds": 4}
    taught = {"augmentation": "flip_crop", "targets": {"kind": "teacher", "of": "real", "images": "real"}}
    keys["baselines"]["taught"] = taught
    work = count_work(Recipe.model_validate(keys), PLAN, (28, 28, 1), 3, None)
    assert [len(phase) for phase in work.stages["label_curve"]] == [4, 4]
    (found,) = {training for phase in work.labels for training in phase}
    assert found.steps == 800 and found.unit.teachers == 0


def test_a_learning_curve_costs_three_quarters_of_a_training_of_each_side_and_seed() -> None:
    keys = load_recipe(DEMO).model_dump(mode="json")

    def count(seeds: int) -> tuple[int, int]:
        keys["verdict"]["curve_seeds"] = seeds
        work = count_work(Recipe.model_validate(keys), PLAN, (28, 28, 1), 3, None)
        steps = [training.steps for phases in work.stages.values() for phase in phases for training in phase]
        assert sorted(each.steps for phase in work.more for each in phase) == sorted([200, 400] * 2 * seeds)
        return sum(steps), sum(training.steps for phase in work.more for training in phase)

    assert count(0)[1] == 0
    whole, curve = count(1)
    assert curve == 2 * 0.75 * 800
    assert whole - curve == count(0)[0]


def test_the_longest_training_that_the_search_may_choose_is_counted_for_arms_and_search() -> None:
    keys = load_recipe(DEMO).model_dump(mode="json")
    keys["baselines"] = {"real": {}, "augmented": {"augmentation": "auto"}}
    keys["expanded"] = {"more": {"augmentation": "auto"}}
    keys["tuning"] = {"policy": True, "steps": 100, "most_steps": 3500, "folds": 3}
    recipe = Recipe.model_validate(keys)
    plan = plan_expansion(np.array([20] * 3), tuple("abc"), PlanSettings())
    assert find_longest(recipe) == 3200  # 800, 1,600, 3,200
    usual, most = (count_work(recipe, plan, (28, 28, 1), 3, policy) for policy in (None, expect_policy(recipe, 3200)))
    assert {training.steps for phase in usual.baselines for training in phase} == {800}
    assert {training.steps for phase in most.baselines for training in phase} == {3200}
    searched = [sum(training.steps for phase in work.policy for training in phase) for work in (usual, most)]
    assert searched[1] - searched[0] == 3 * 3200
    keys["tuning"]["most_steps"] = 1500
    assert find_longest(Recipe.model_validate(keys)) is None
