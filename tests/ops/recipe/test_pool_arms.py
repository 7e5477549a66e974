"""Arms that see a prior's pool: what a recipe may say of them, what it may not, and whose identity they are part of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ops.errors import UserError
from ops.recipe.arms import Arm
from ops.recipe.fingerprints import list_inputs, stage_settings
from ops.recipe.grid import GridSettings
from ops.recipe.loading import load_recipe, parse_recipe
from ops.recipe.pool_arms import list_seeing
from ops.recipe.schema import Recipe
from ops.settings.reading import read_yaml
from tests.recipes import refused

SMOKE = Path(__file__).parents[3] / "recipes" / "smoke.yaml"
KEYS = read_yaml(SMOKE)
POOL: dict[str, Any] = {"kind": "instance", "pool": "others", "steps": 30}
WITH: dict[str, Any] = {**KEYS, "prior": POOL, "generator": {"kind": "prior"}, "sampler": {"strength": 0.4}}


def parse(keys: dict[str, Any] = WITH, **arms: Any) -> Recipe:
    return parse_recipe({**keys, "baselines": {"real": {}, **arms}}, "mine.yaml")


def test_arms_that_see_the_pool_are_named_also_where_a_teacher_saw_it() -> None:
    recipe = parse(
        mixup={"pairing": "mixup"}, fix={"unlabelled": "fixmatch"}, pseudo={"unlabelled": "pseudo_labels"},
        probe={"trainer": "probe"}, tuned={"trainer": "fine_tuned", "unlabelled": {"kind": "fixmatch", "ratio": 2.0}},
        taught={"targets": {"kind": "teacher", "of": "fix"}}, student={"targets": {"kind": "teacher", "of": "mixup"}},
    )  # fmt: skip
    assert list_seeing(recipe.baselines) == ["fix", "pseudo", "probe", "tuned", "taught"]


LATENT, FLOW = {**POOL, "kind": "latent"}, {**POOL, "kind": "flow"}
FIX = {"unlabelled": "fixmatch"}


@pytest.mark.parametrize(
    ("keys", "arm", "sentence"),
    [
        (
            KEYS,
            FIX,
            "unlabelled: fixmatch of the arm 'x' needs the pool of a prior; add prior: {kind: flow, pool: NAME}",
        ),
        (
            KEYS,
            {"trainer": "probe"},
            "trainer: probe of the arm 'x' needs the pool of a prior; add prior: {kind: instance",
        ),
        (
            {**WITH, "prior": {**FLOW, "kind": "mae"}},
            {"trainer": "probe"},
            "needs a prior whose encoder arms can use, and kind: mae has none; write prior: {kind: instance, pool",
        ),
        ({**WITH, "prior": FLOW}, {"trainer": "fine_tuned"}, "kind: flow has none; write prior: {kind: instance, pool"),
        (WITH, {**FIX, "loss": "ldam"}, "goes by probabilities, and the cosines of loss: ldam are none; remove one"),
        (WITH, {"unlabelled": "pseudo_labels", "loss": "ldam"}, "unlabelled: pseudo_labels of the arm 'x' goes by"),
        (WITH, {**FIX, "consistency": {"kind": "ema", "images": "real"}}, "'x' has both unlabelled and consistency"),
        (WITH, {**FIX, "trainer": "refitted"}, "trainer: refitted of the arm 'x' would undo its unlabelled"),
        (WITH, {**FIX, "trainer": "probe"}, "unlabelled has no effect in the arm 'x': trainer: probe fits a logistic"),
        (WITH, {"pairing": "mixup", "trainer": "probe"}, "pairing has no effect in the arm 'x': trainer: probe"),
        (
            WITH,
            {"unlabelled": "pseudo_labels", "variants": {"kind": "git", "by": ["randaugment"]}},
            "variants of the arm 'x' replace labelled images alone",
        ),
        (WITH, {"unlabelled": {"kind": "fixmatch", "ratio": 0}}, "'baselines.x.unlabelled.ratio'"),
        (WITH, {"unlabelled": {"kind": "fixmatch", "ratio": 17}}, "less than or equal to 16"),
        (WITH, {"unlabelled": {"kind": "fixmatch", "threshold": 1.1}}, "less than or equal to 1"),
        (WITH, {"unlabelled": {"kind": "fixmatch", "rounds": 2}}, "rounds has no effect with kind: fixmatch"),
        (WITH, {"unlabelled": "mixmatch"}, "unknown kind; choose one of none, fixmatch, pseudo_labels"),
    ],
)
def test_what_cannot_be_gives_one_sentence(keys: dict[str, Any], arm: dict[str, Any], sentence: str) -> None:
    with refused(sentence):
        parse(keys, x=arm)


def test_an_arm_with_generated_images_is_none_of_them() -> None:
    with pytest.raises(
        UserError, match="unlabelled: fixmatch of the arm 'y' generates nothing, .* move it to baselines"
    ):
        parse_recipe({**WITH, "expanded": {"y": FIX}}, "mine.yaml")


def test_every_encoder_may_be_probed_and_every_pool_learnt_from() -> None:
    for prior in (POOL, LATENT):
        assert parse({**WITH, "prior": prior}, x={"trainer": "probe"}).baselines["x"].trainer.kind == "probe"
    assert parse({**WITH, "prior": FLOW}, x=FIX).baselines["x"].unlabelled.kind == "fixmatch"


def test_without_such_an_arm_all_identities_are_those_of_before() -> None:
    assert "unlabelled" not in Arm().model_dump() and "unlabelled" in Arm.model_validate(FIX).model_dump()
    for recipe in (load_recipe(SMOKE), parse()):
        assert list_inputs(recipe, "baseline_classifiers") == ("real_images", "training_policy")
        assert "unlabelled" not in str(stage_settings(recipe, "baseline_classifiers"))


def test_with_such_an_arm_the_baselines_follow_from_the_prior_and_its_pool() -> None:
    recipe = parse(x=FIX)
    assert list_inputs(recipe, "baseline_classifiers") == ("real_images", "training_policy", "prior")
    assert "prior" not in list_inputs(recipe, "expanded_classifiers")
    assert parse_recipe(recipe.model_dump(mode="json"), "mine.yaml") == recipe


def test_the_grid_may_try_their_numbers_and_a_probe_tries_no_rates() -> None:
    grid = GridSettings.model_validate(
        {"learning_rate": [0.01, 0.02], "weight_decay": [0.1], "unlabelled.threshold": [0.8, 0.95]}
    )
    count = {
        name: len(grid.list_settings(Arm.model_validate(keys), is_expanded=False))
        for name, keys in {"plain": {}, "fix": FIX, "probe": {"trainer": "probe"}}.items()
    }
    assert count == {"plain": 2, "fix": 4, "probe": 1}
    rates = GridSettings.model_validate({"learning_rate": [0.01, 0.02], "weight_decay": [0.1]})
    plain, probe = Arm(), Arm.model_validate({"trainer": "probe"})
    assert rates.is_fair([plain, plain], is_expanded=False) and not rates.is_fair([plain, probe], is_expanded=False)
    assert GridSettings().is_fair([plain, probe], is_expanded=False)
