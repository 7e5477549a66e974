"""Variants in a recipe: chances by hand, dumps that stay as they were, and what is refused, in one sentence each."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ops.errors import UserError
from ops.planning.work import CHANGE, count_work
from ops.recipe.arms import Arm
from ops.recipe.counterparts import find_counterpart, pair_counterparts, simplify
from ops.recipe.fingerprints import stage_settings
from ops.recipe.grid import GridSettings
from ops.recipe.ingredients.variants import GitVariants, find_chances
from ops.recipe.loading import parse_recipe
from ops.recipe.rehearsal import shrink
from ops.recipe.schema import Recipe
from ops.recipe.stages import STAGES
from ops.recipe.variants import check_class_sizes, check_variants
from ops.settings.reading import read_yaml

PATH = Path("recipes/mine.yaml")
CONTENT: dict[str, Any] = read_yaml(Path(__file__).parents[3] / "recipes" / "smoke.yaml")
PLAIN = (
    '{"augmentation": {"kind": "none"}, "pairing": {"kind": "none"}, "sampler": {"kind": "uniform"}, "loss": {"kind":'
    ' "plain"}, "targets": {"kind": "labels"}, "consistency": {"kind": "none"}, "placebo": {"kind": "none"}, "trainer":'
    ' {"kind": "supervised"}, "real_weight": null, "finish": 0.0, "separate": null}'
)
CIFAR10 = np.array([5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50])
ZIPF = np.array([500, 125, 55, 31, 20, 13, 10, 7, 6, 5])


def git(**keys: Any) -> dict[str, Any]:
    return {"variants": {"kind": "git", **keys}}


def ramp(below: int) -> GitVariants:
    return GitVariants(below=below, policy="ramp")


def test_the_ramp_has_the_published_chances() -> None:
    chances = find_chances(CIFAR10, ramp(500))
    np.testing.assert_allclose(chances, [0, 0, 0, 0, 0, 0.251, 0.596, 0.802, 0.927, 1], atol=5e-4)
    assert chances.mean() / 2 == pytest.approx(0.179, abs=5e-4)
    cifar100 = np.array([int(500 * 0.01 ** (c / 99)) for c in range(100)])
    assert (cifar100.sum(), (find_chances(cifar100, ramp(100)) > 0).sum()) == (10_847, 65)
    assert find_chances(cifar100, ramp(100)).mean() / 2 == pytest.approx(0.236, abs=5e-4)
    by_rank = [0, 0, 0.474, 0.726, 0.842, 0.916, 0.947, 0.979, 0.989, 1]
    np.testing.assert_allclose(find_chances(ZIPF, ramp(100)), by_rank, atol=5e-4)


def test_the_cutoff_is_strict_and_no_threshold_means_all_classes() -> None:
    assert find_chances(ZIPF, GitVariants(below=20)).tolist() == [0] * 5 + [1] * 5
    assert find_chances(ZIPF, GitVariants()).tolist() == [1] * 10
    assert find_chances(np.array([4, 0, 9]), ramp(9)).tolist() == [1, 0, 0], "a class without images has no chance"
    assert find_chances(np.array([4]), ramp(5)).tolist() == [1]


@pytest.mark.parametrize("policy", ["hard", "ramp"])
@pytest.mark.parametrize("below", [4, 5])
def test_a_threshold_at_or_below_the_smallest_class_is_refused(policy: Any, below: int) -> None:
    """The published code divides by 0, or draws with chances above 1."""
    sentence = f"below {below} is not above the smallest class, which has 5 images: no class would learn from variants"
    settings = GitVariants(below=below, policy=policy)
    with pytest.raises(ValueError, match=sentence):
        find_chances(ZIPF, settings)
    with pytest.raises(ValueError, match=f"variants of the arm 'g': {sentence}"):
        check_class_sizes(ZIPF, {"real": Arm(), "g": Arm(variants=settings)})


def test_the_dump_of_an_arm_without_variants_is_the_one_from_before_the_key() -> None:
    assert json.dumps(Arm().model_dump(mode="json")) == json.dumps(json.loads(PLAIN)) == PLAIN
    arm = Arm.model_validate(git(by=["randaugment"], below=9))
    assert Arm.model_validate(json.loads(json.dumps(arm.model_dump(mode="json")))) == arm != Arm()


@pytest.mark.parametrize("keys", [{"variants": "none"}, git(by=["randaugment"])])
def test_a_recipe_without_variants_has_the_settings_from_before_the_key(keys: dict[str, Any]) -> None:
    changed = copy.deepcopy(CONTENT)
    changed["baselines"]["more"] = {}
    before = parse_recipe(changed, PATH)
    changed["baselines"]["more"] = keys
    after = parse_recipe(changed, PATH)
    moved = [stage for stage in STAGES if stage_settings(before, stage) != stage_settings(after, stage)]
    assert moved == ([] if keys["variants"] == "none" else ["baseline_classifiers", "verdict"])


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"share": 0}, "input should be greater than 0; got 0"),
        ({"share": 1.5}, "less than or equal to 1; got 1.5"),
        ({"start": 1.0}, "less than 1; got 1.0"),
        ({"below": 1}, "greater than or equal to 2; got 1"),
        ({"policy": "ramp"}, "policy: ramp needs below"),
        ({"strength": 3.0}, "strength has no effect without randaugment in by"),
        ({"source": "drawn", "by": ["oracle"]}, "source: drawn has no effect without generator in by"),
        ({"by": ["oracle", "generator"]}, "by: generator does not look at the image that oracle makes"),
        ({"by": ["randaugment", "oracle"]}, "by: oracle does not look at the image that randaugment makes"),
        ({"by": ["randaugment", "randaugment"]}, "by names randaugment twice"),
        ({"by": []}, "at least 1 must be given"),
        ({"by": ["munit"]}, "input should be 'generator', 'oracle' or 'randaugment'"),
        ({"bellow": 5}, "unknown key 'baselines.git.variants.bellow' in recipes/mine.yaml; did you mean 'below'"),
        ({}, "variants by a generator have no effect in the baseline 'git', which has no generated images"),
        ({"by": ["oracle"]}, "variants by: oracle of the arm 'git' needs data.nuisance"),
        (
            {"by": ["randaugment"], "share": 0.001},
            "share 0.001 of a batch of 16 is less than one image; write 0.063 or more",
        ),
    ],
)
def test_a_mistake_is_one_sentence(keys: dict[str, Any], sentence: str) -> None:
    changed = copy.deepcopy(CONTENT)
    changed["classifier"]["batch_size"] = 16
    changed["baselines"]["git"] = git(**keys)
    with pytest.raises(UserError) as refusal:
        parse_recipe(changed, PATH)
    assert sentence in str(refusal.value) and "\n" not in str(refusal.value)


def test_a_generator_must_take_an_image_and_arms_stand_where_their_images_are() -> None:
    changed = copy.deepcopy(CONTENT)
    changed["expanded"]["git"] = git()
    with pytest.raises(
        UserError, match="by a generator that takes an image, and kind: flow takes noise and label alone"
    ):
        parse_recipe(changed, PATH)
    changed["expanded"]["git"] = git(by=["randaugment"])
    with pytest.raises(UserError, match="variants of the arm 'git' need no generated image; move it to baselines"):
        parse_recipe(changed, PATH)


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"real_weight": 2.0}, "real_weight has no effect beside variants in the arm 'git'; remove it"),
        ({"finish": 0.2}, "finish has no effect"),
        ({"separate": "norm"}, "separate has no effect"),
        ({"consistency": "ema"}, "consistency.images: generated has no effect"),
        ({"targets": {"kind": "teacher", "of": "real", "images": "generated"}}, "targets.images: generated has no"),
        ({"targets": {"kind": "teacher", "of": "real", "relabel": True}}, "targets.relabel has no effect"),
        (
            {"placebo": "mixed", **git(source="drawn")},
            "the placebo of the arm 'git' takes the place of stored variants",
        ),
    ],
)
def test_what_has_no_effect_beside_variants_is_refused(keys: dict[str, Any], sentence: str) -> None:
    arms = {"git": Arm.model_validate({**git(), **keys})}
    with pytest.raises(ValueError, match=sentence):
        check_variants({}, arms, kind="perturb", inputs=("image", "noise"), nuisance=None, batch_size=16)


def test_one_image_a_batch_has_no_statistics_for_fully_connected_layers() -> None:
    changed = copy.deepcopy(CONTENT)
    changed["classifier"] |= {"network": {"kind": "mlp"}, "batch_size": 1}
    with pytest.raises(UserError, match="classifier.batch_size 1 is too small for network: mlp"):
        parse_recipe(changed, PATH)


def test_logit_adjustment_cannot_follow_independent_draws() -> None:
    for sides in ({"baselines": "randaugment"}, {"expanded": "generator"}):
        ((side, by),) = sides.items()
        arms = {"git": Arm.model_validate({**git(draws="independent", by=[by]), "loss": "logit_adjusted"})}
        both = {"baselines": {}, "expanded": {}} | {side: arms}
        with pytest.raises(ValueError, match="loss: logit_adjusted of the arm 'git' follows how often the sampler"):
            check_variants(**both, kind="perturb", inputs=("image", "noise"), nuisance=None, batch_size=16)


def test_a_trainer_of_its_own_would_undo_them() -> None:
    changed = copy.deepcopy(CONTENT)
    changed["baselines"]["git"] = {"trainer": "refitted", **git(by=["randaugment"])}
    with pytest.raises(UserError, match="trainer: refitted of the arm 'git' would undo its variants"):
        parse_recipe(changed, PATH)


def test_the_counterpart_has_what_needs_no_generator() -> None:
    drawn = Arm.model_validate({"sampler": "class_balanced", **git(source="drawn", below=50)})
    both = Arm.model_validate(git(by=["generator", "randaugment"], below=50))
    assert simplify(drawn) == Arm(sampler="class_balanced")
    assert simplify(both) == Arm.model_validate(git(by=["randaugment"], below=50))
    baselines = {"balanced": simplify(drawn), "ra": simplify(both), "real": Arm()}
    assert (find_counterpart(drawn, baselines), find_counterpart(both, baselines)) == ("balanced", "ra")
    placebo = Arm.model_validate({"placebo": "augmented", **git(by=["generator", "randaugment"], below=50)})
    assert pair_counterparts(baselines, {"both": both, "placebo": placebo}, {}) == [("both", "ra"), ("both", "placebo")]


def test_their_numbers_are_keys_of_the_grid_and_they_try_no_real_weight() -> None:
    grid = GridSettings.model_validate({"variants.share": [0.25, 0.5], "real_weight": [1.0]})
    settings = grid.list_settings(Arm.model_validate(git()), is_expanded=True)
    assert [setting.to_dict() for setting in settings] == [
        {"learning_rate": 0.02, "weight_decay": 0.1, "variants.share": share} for share in (0.25, 0.5)
    ]
    assert "real_weight" in grid.list_settings(Arm(), is_expanded=True)[0].keys


def test_a_rehearsal_shows_variants_of_all_classes() -> None:
    changed = copy.deepcopy(CONTENT)
    changed["baselines"]["git"] = git(by=["randaugment"], below=100, policy="ramp", share=0.02, start=0.25)
    changed["classifier"]["batch_size"] = 64
    changes = shrink(parse_recipe(changed, PATH), "small", Path())
    found = {key: value for key, value in changes.items() if ".git." in key}
    of = "baselines.git.variants"
    assert found == {f"{of}.policy": "hard", f"{of}.below": None, f"{of}.share": 1 / 16}


def test_a_plan_counts_what_variants_cost() -> None:
    from ops.planning.plan import PlanSettings, plan_expansion

    changed = copy.deepcopy(CONTENT)
    changed["classifier"] |= {"batch_size": 16, "steps": 20, "seeds": 1}
    recipe = parse_recipe(changed, PATH)
    arms = {"real": Arm(), "git": Arm.model_validate(git(by=["randaugment"], share=0.25, start=0.5))}
    drawing = {"git": Arm.model_validate(git(source="drawn", share=0.5))}
    varied = Recipe.model_copy(recipe, update={"baselines": arms, "expanded": drawing})
    plan = plan_expansion(np.array([9, 4]), ("a", "b"), PlanSettings())
    work = count_work(varied, plan, (28, 28, 1), 3, None)
    plain, changing = work.baselines[0][:2]
    assert plain.unit == changing.unit and changing.more == pytest.approx(CHANGE * 10 * 4)
    assert (changing.drawn, work.expanded[0][0].drawn) == (0, 20 * 8)
