"""Recipes as files: the shipped ones load, and every kind of mistake gives one sentence.

A mistake is planted in a shipped recipe; the sentence must name the key, the file and the allowed values.
"""

from __future__ import annotations

import copy
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from ops.errors import UserError
from ops.recipe.grid import list_numbers, set_numbers
from ops.recipe.ingredients.losses import LogitAdjustedLoss
from ops.recipe.loading import load_recipe, parse_recipe
from ops.recipe.sampler import SamplerSettings
from ops.recipe.schema import Recipe
from ops.settings.reading import read_yaml
from tests.recipes import AUTOMATION_KEYS

RECIPES = Path(__file__).parents[3] / "recipes"
SHIPPED = (
    "smoke",
    "fashion-flow",
    "fashion-tail",
    "fashion-dpt",
    "fashion-adainf",
    "fashion-gif",
    "fashion-bg-lt",
    "fashion-dil-lt",
    "fashion-rot-lt",
)
CONTENT: dict[str, dict[str, Any]] = {name: read_yaml(RECIPES / f"{name}.yaml") for name in SHIPPED}
PATH = Path("recipes/mine.yaml")
TOP_KEYS = (
    "automation, baselines, classifier, data, expanded, filter, generator, mix, on_new_images, plan, prior, publish,"
    " report, sampler, scorer, seed, source, tuning, verdict"
)
NEEDED = sorted(set(Recipe.model_fields) - set(AUTOMATION_KEYS))

Change = Callable[[dict[str, Any]], object]


def put(value: Any, *place: Any) -> Change:
    """Set the key at `place` to `value`."""

    def change(content: dict[str, Any]) -> None:
        for part in place[:-1]:
            content = content[part]
        content[place[-1]] = value

    return change


def drop(*place: str) -> Change:
    def change(content: dict[str, Any]) -> None:
        for part in place[:-1]:
            content = content[part]
        del content[place[-1]]

    return change


def rename(old: str, new: str) -> Change:
    return lambda content: content.update({new: content.pop(old)})


def complain(*changes: Change) -> str:
    """The sentence about the shipped recipe after these changes."""
    content = copy.deepcopy(CONTENT["fashion-flow"])
    for change in changes:
        change(content)
    with pytest.raises(UserError) as caught:
        parse_recipe(content, PATH)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert str(PATH) in sentence
    return sentence


def write_and_complain(path: Path, raw: bytes) -> str:
    path.write_bytes(raw)
    with pytest.raises(UserError) as caught:
        load_recipe(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_recipe_loads_with_the_values_in_its_file(name: str) -> None:
    recipe = load_recipe(RECIPES / f"{name}.yaml")
    assert recipe.source == "fashion-mnist"
    assert recipe.plan.ratio == CONTENT[name]["plan"]["ratio"]
    assert {"kind": recipe.generator.kind}.items() <= CONTENT[name]["generator"].items()
    assert list(recipe.baselines) == list(CONTENT[name]["baselines"])


def test_recipe_survives_a_round_trip_through_its_dump() -> None:
    recipe = load_recipe(RECIPES / "fashion-flow.yaml")
    assert parse_recipe(recipe.model_dump(mode="json"), PATH) == recipe


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (put(0, "sed"), f"unknown key 'sed' in {PATH}; did you mean 'seed'?"),
        (put(0, "zzzz"), f"unknown key 'zzzz' in {PATH}; valid here: {TOP_KEYS}"),
        (put(2.0, "plan", "ratioo"), f"unknown key 'plan.ratioo' in {PATH}; did you mean 'ratio'?"),
        (
            put(2.0, "plan", "zzz"),
            f"unknown key 'plan.zzz' in {PATH}; valid here: balance, budget, overdraw, ratio, rounds, seeds",
        ),
        (
            put("mixup", "baselines", "mixup", "pairng"),
            f"unknown key 'baselines.mixup.pairng' in {PATH}; did you mean 'pairing'?",
        ),
        (
            put(1, "expanded", "expanded", "zzz"),
            f"unknown key 'expanded.expanded.zzz' in {PATH};"
            " valid here: augmentation, beta, consistency, finish, loss, pairing, placebo, ratio, real_weight, sampler,"
            " separate, strength, targets, trainer, unlabelled, variants",
        ),
        (
            put("none", "baselines", "real", "augmentatoin"),
            f"unknown key 'baselines.real.augmentatoin' in {PATH}; did you mean 'augmentation'?",
        ),
        (
            put([0.1], "classifier", "grid", "learning_rates"),
            f"unknown key 'classifier.grid.learning_rates' in {PATH}; did you mean 'learning_rate'?",
        ),
        (
            put(3, "classifier", "grid", "zzz"),
            f"unknown key 'classifier.grid.zzz' in {PATH}; valid here: learning_rate, real_weight, steps, weight_decay,"
            f" and {len(list_numbers())} numbers of ingredients such as augmentation.blur",
        ),
    ],
)
def test_unknown_key_names_file_and_nearest_key(change: Change, sentence: str) -> None:
    assert complain(change) == sentence


def test_misspelt_section_is_called_unknown_rather_than_missing() -> None:
    assert complain(rename("mix", "mxi")) == f"unknown key 'mxi' in {PATH}; did you mean 'mix'?"


def test_key_of_another_section_is_answered_with_the_keys_of_this_one() -> None:
    sentence = complain(put(0.1, "classifier", "learning_rate"))
    assert sentence.startswith(
        f"unknown key 'classifier.learning_rate' in {PATH}; valid here: batch_size, clean_statistics,"
    )


def test_missing_section_is_named_with_the_way_to_write_it_empty() -> None:
    assert complain(drop("mix")) == (
        f"key 'mix' is missing in {PATH}; add it (an empty section is written 'mix: {{}}')"
    )


@given(name=st.sampled_from(SHIPPED), section=st.sampled_from(NEEDED))
@settings(deadline=None, max_examples=60)
def test_dropping_any_one_section_gives_a_missing_sentence_naming_it(name: str, section: str) -> None:
    content = {key: value for key, value in CONTENT[name].items() if key != section}
    with pytest.raises(UserError, match=rf"^key '{section}' is missing in {re.escape(str(PATH))}; add it"):
        parse_recipe(content, PATH)


@given(name=st.sampled_from(SHIPPED), section=st.sampled_from([key for key in NEEDED if key != "prior"]))
@settings(deadline=None, max_examples=60)
def test_section_without_a_value_is_named_in_the_error(name: str, section: str) -> None:
    content = {**CONTENT[name], section: None}
    allowed = (
        r"(input should be (a valid |'retrain' or)|keys with values are expected|unknown kind; choose one of flow,).*"
    )
    with pytest.raises(UserError, match=rf"^'{section}' in {re.escape(str(PATH))}: {allowed}"):
        parse_recipe(content, PATH)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (put("ten", "plan", "ratio"), f"'plan.ratio' in {PATH}: input should be a valid number; got 'ten'"),
        (put(True, "plan", "ratio"), f"'plan.ratio' in {PATH}: input should be a valid number; got True"),
        (put(1.5, "seed"), f"'seed' in {PATH}: input should be a valid integer; got 1.5"),
        (put(True, "seed"), f"'seed' in {PATH}: input should be a valid integer; got True"),
        (put(7, "source"), f"'source' in {PATH}: input should be a valid string; got 7"),
        (put(1, "publish", "commit"), f"'publish.commit' in {PATH}: input should be a valid boolean; got 1"),
        (put(8.5, "generator", "widths", 0), f"'generator.widths' in {PATH}: input should be a valid integer; got 8.5"),
        (put("Bag", "data", "classes"), f"'data.classes' in {PATH}: a list is expected; got 'Bag'"),
        (put(None, "plan"), f"'plan' in {PATH}: keys with values are expected, or {{}} for their defaults; got None"),
        (put(5, "expanded"), f"'expanded' in {PATH}: keys with values are expected; got 5"),
        (put({}, "expanded"), f"'expanded' in {PATH}: at least 1 must be given"),
        (put([0], "data", "classes"), f"'data.classes' in {PATH}: input should be a valid string; got 0"),
    ],
)
def test_wrong_type_names_key_file_and_what_was_given(change: Change, sentence: str) -> None:
    assert complain(change) == sentence


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (put(0, "plan", "ratio"), f"'plan.ratio' in {PATH}: input should be greater than 0; got 0"),
        (put(1001, "plan", "ratio"), f"'plan.ratio' in {PATH}: input should be less than or equal to 1000; got 1001"),
        (put(1, "scorer", "folds"), f"'scorer.folds' in {PATH}: input should be greater than or equal to 2; got 1"),
        (put(-1, "seed"), f"'seed' in {PATH}: input should be greater than or equal to 0; got -1"),
        (put("even", "plan", "balance"), f"'plan.balance' in {PATH}: input should be 'keep' or 'equalise'; got 'even'"),
        (put(3, "generator", "unshuffle"), f"'generator.unshuffle' in {PATH}: input should be 1, 2 or 4; got 3"),
        (put([12], "generator", "widths"), f"'generator' in {PATH}: widths must be positive multiples of 8"),
        (
            put(0, "baselines", "mixup", "pairing", "alpha"),
            f"'baselines.mixup.pairing.alpha' in {PATH}: input should be greater than 0; got 0",
        ),
    ],
)  # fmt: skip
def test_value_out_of_range_names_key_file_and_range(change: Change, sentence: str) -> None:
    assert complain(change) == sentence


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize(
    "place",
    [("scorer", "learning_rate"), ("generator", "weight_decay"), ("plan", "budget"),
     ("classifier", "grid", "learning_rate", 0), ("mix", "real_weight"), ("verdict", "confidence")],
)  # fmt: skip
def test_number_that_is_not_finite_is_refused(place: tuple[Any, ...], value: float) -> None:
    key = ".".join(part for part in place if isinstance(part, str))
    assert complain(put(value, *place)).startswith(f"'{key}' in {PATH}: input should be ")


@pytest.mark.parametrize("side", ["baselines", "expanded"])
@pytest.mark.parametrize("name", ["a/b", "..", "-rf", "a b", ""])
def test_arm_name_that_could_not_be_a_file_name_is_refused(side: str, name: str) -> None:
    sentence = complain(put({}, side, name))
    assert sentence == f"arm name '{name}' in {PATH}: letters, digits and _ + . - are allowed, a letter or digit first"


def test_an_arm_name_that_is_too_long_for_a_file_name_is_refused() -> None:
    assert complain(put({}, "expanded", "x" * 101)).endswith(f" in {PATH}: at most 100 characters are allowed")


@pytest.mark.parametrize("cut", [0.01, {"threshold": 0.2}])
@pytest.mark.parametrize("kind", ["flow", "edm", "ddpm", "latent"])
def test_a_rule_about_parents_is_refused_for_kinds_whose_images_have_none(kind: str, cut: object) -> None:
    assert complain(put({"kind": kind}, "generator"), put({}, "sampler"), put(cut, "filter", "near_parent")) == (
        f"{PATH}: filter.near_parent has no effect with generator.kind: {kind}, whose images have no parent; remove it"
    )


def test_a_strength_gives_the_images_of_a_flow_parents() -> None:
    content = copy.deepcopy(CONTENT["fashion-flow"])
    content["sampler"]["strength"], content["filter"]["near_parent"] = 0.35, 0.01
    recipe = parse_recipe(content, PATH)
    assert recipe.generator.list_inputs(recipe.sampler) == ("noise", "label", "image")
    assert recipe.generator.list_inputs(SamplerSettings()) == ("noise", "label")


@pytest.mark.parametrize(
    ("generator", "strength", "sentence"),
    [
        ({"kind": "edm"}, 0.3, "strength is not possible with kind: edm, which draws from noise alone"),
        ({"kind": "ddpm"}, 0.0, "strength is not possible with kind: ddpm, which draws from noise alone"),
        (
            {"distillation": {}},
            0.3,
            "strength is not possible with generator.distillation: its student draws from noise alone",
        ),
        ({}, 0.0, "strength 0 leaves the seed image as it is; give 0.01 or more"),
        (
            {"kind": "onnx", "path": "models/sampler.onnx", "sha256": "0" * 64},
            0.3,
            "strength has no effect with kind: onnx, which is a whole sampler; remove it",
        ),
    ],
)
def test_a_strength_is_refused_where_it_could_do_nothing(
    generator: dict[str, Any], strength: float, sentence: str
) -> None:
    found = complain(put(generator, "generator"), put({"strength": strength}, "sampler"))
    assert found.startswith(f"'sampler' in {PATH}: {sentence}")


GEOMETRY = {"kind": "geometry"}


def test_moved_images_have_parents_and_a_sampler_without_keys_of_its_own() -> None:
    content = copy.deepcopy(CONTENT["fashion-flow"]) | {"generator": GEOMETRY, "sampler": {"usable_from": 0.3}}
    content["filter"]["near_parent"] = 0.01
    recipe = parse_recipe(content, PATH)
    assert recipe.generator.list_inputs(recipe.sampler) == ("noise", "image")
    assert recipe.sampler.solver is None


@pytest.mark.parametrize(
    ("sampler", "sentence"),
    [
        ({"strength": 0.3}, "strength is not possible with kind: geometry; set rotation, scale, shift or mirror"),
        ({"solver": "euler"}, "solver has no effect with kind: geometry, which moves pixels; remove it"),
        ({"steps": 3}, "steps has no effect with kind: geometry, which moves pixels; remove it"),
        ({"guidance": 1.5}, "guidance has no effect with kind: geometry, which moves pixels; remove it"),
        ({"precision": "int8"}, "precision has no effect with kind: geometry, which moves pixels; remove it"),
    ],
)
def test_keys_of_the_sampler_without_effect_on_moves_are_refused(sampler: dict[str, Any], sentence: str) -> None:
    assert complain(put(GEOMETRY, "generator"), put(sampler, "sampler")).startswith(f"'sampler' in {PATH}: {sentence}")


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        (
            {"rotation": 0, "scale": 0, "shift": 0, "mirror": False},
            f"'generator' in {PATH}: kind: geometry needs a move; set rotation, scale, shift or mirror",
        ),
        ({"images": 10}, f"'generator' in {PATH}: images 10 is below least 20: no class could take part"),
        ({"rotation": 181}, f"'generator.rotation' in {PATH}: input should be less than or equal to 180; got 181"),
        ({"least": 5}, f"'generator.least' in {PATH}: input should be greater than or equal to 6; got 5"),
    ],
)
def test_moves_that_could_not_be_tried_are_refused(keys: dict[str, Any], sentence: str) -> None:
    assert complain(put({**GEOMETRY, **keys}, "generator"), put({}, "sampler")) == sentence


@pytest.mark.parametrize("strength", [-0.1, 1.1])
def test_a_strength_outside_0_to_1_is_refused(strength: float) -> None:
    assert complain(put(strength, "sampler", "strength")).startswith(f"'sampler.strength' in {PATH}: input should be")


@pytest.mark.parametrize(("key", "value"), [("moves", 3.0), ("moves", None), ("keeps", 0.8), ("keeps", None)])
@pytest.mark.parametrize("kind", ["flow", "edm", "ddpm", "latent"])
def test_limits_of_variants_are_refused_for_kinds_whose_images_have_no_parent(
    kind: str, key: str, value: float | None
) -> None:
    assert complain(put({"kind": kind}, "generator"), put({key: value}, "sampler")) == (
        f"{PATH}: sampler.{key} has no effect with generator.kind: {kind}, whose images have no parent; remove it"
    )


@pytest.mark.parametrize(("key", "value"), [("moves", -1.0), ("moves", 256.0), ("keeps", -0.1), ("keeps", 1.1)])
def test_limits_of_variants_out_of_range_are_refused(key: str, value: float) -> None:
    assert complain(put({key: value}, "sampler")).startswith(f"'sampler.{key}' in {PATH}: input should be ")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            put({"augmentation": "flip_crop", "mixup_alpha": 0.5}, "baselines", "augmented"),
            f"'baselines.augmented' in {PATH}: mixup_alpha is now written pairing: {{kind: mixup, alpha: ...}}",
        ),
        (
            put(32, "classifier", "width"),
            f"'classifier' in {PATH}: width is now written network: {{kind: small_resnet, width: ...}}",
        ),
        (
            put({"augmentation": {"kind": "none", "strength": 1}}, "baselines", "augmented"),
            f"'baselines.augmented.augmentation' in {PATH}: strength has no effect with kind: none; it belongs to"
            " flip_crop and randaugment",
        ),
        (
            put({"pairing": "mixip"}, "baselines", "augmented"),
            f"'baselines.augmented.pairing' in {PATH}: unknown kind; choose one of none, mixup, cutmix,"
            " samplepairing; got 'mixip'",
        ),
        (
            put({"pairing": {"kind": "mixup", "alpa": 1}}, "baselines", "augmented"),
            f"unknown key 'baselines.augmented.pairing.alpa' in {PATH}; did you mean 'alpha'?",
        ),
        (
            put({"pairing": {"alpha": 1}}, "baselines", "augmented"),
            f"'baselines.augmented.pairing' in {PATH}: write one of none, mixup, cutmix, samplepairing, or"
            " {kind: ...} with keys of that kind",
        ),
        (
            put({"pairing": {"kind": "mixup", "probability": 0.5}}, "baselines", "augmented"),
            f"'baselines.augmented.pairing' in {PATH}: probability has no effect with kind: mixup; it belongs to"
            " cutmix",
        ),
        (
            put({"pairing": {"kind": "cutmix", "alpha": 0}}, "baselines", "augmented"),
            f"'baselines.augmented.pairing.alpha' in {PATH}: input should be greater than 0; got 0",
        ),
        (
            put({"pairing": {"kind": "mixup", "until": 1.1}}, "baselines", "augmented"),
            f"'baselines.augmented.pairing.until' in {PATH}: input should be less than or equal to 1; got 1.1",
        ),
        (
            put({"pairing": {"kind": "mixup", "per": "elem"}}, "baselines", "augmented"),
            f"'baselines.augmented.pairing.per' in {PATH}: input should be 'batch', 'pair' or 'element'; got 'elem'",
        ),
        (
            put({"pairing": {"kind": "samplepairing", "until": 800}}, "baselines", "augmented"),
            f"'baselines.augmented.pairing' in {PATH}: start 0.1 must be below until 800, and until at most total 1",
        ),
        (
            put({"pairing": {"kind": "samplepairing", "start": 0.8}}, "baselines", "augmented"),
            f"'baselines.augmented.pairing' in {PATH}: start 0.8 must be below until 0.8, and until at most total 1",
        ),
        (
            put({"pairing": {"kind": "samplepairing", "off_for": 0}}, "baselines", "augmented"),
            f"'baselines.augmented.pairing.off_for' in {PATH}: input should be greater than 0; got 0",
        ),
        (
            put(1, "classifier", "batch_size"),
            f"{PATH}: pairing: mixup of the arm 'mixup' mixes the images of a batch, so classifier.batch_size must be 2"
            " or more",
        ),
        (
            put({"pairing": "samplepairing", "finish": 0.3}, "expanded", "expanded"),
            f"{PATH}: pairing: samplepairing of the arm 'expanded' averages images up to 0.8 of the steps, also with"
            " generated ones, but finish 0.3 is for real ones alone; lower one of them",
        ),
        (
            put({"kind": "mlp", "width": 3}, "classifier", "network"),
            f"'classifier.network' in {PATH}: width has no effect with kind: mlp; it belongs to small_resnet and"
            " resnet18",
        ),
        (
            put(2.0, "baselines", "augmented", "real_weight"),
            f"{PATH}: real_weight has no effect in the baseline 'augmented', which has no generated images",
        ),
        (
            put(2.0, "baselines", "augmented", "ratio"),
            f"{PATH}: ratio has no effect in the baseline 'augmented', which has no generated images",
        ),
        (
            put({"ratio": 12.0}, "expanded", "expanded"),
            f"{PATH}: ratio 12 of the arm 'expanded' is above plan.ratio 10, and no more images are made; lower it, or"
            " raise plan.ratio",
        ),
    ],
)  # fmt: skip
def test_an_invalid_or_old_spelling_of_an_ingredient_is_refused_in_one_sentence(change: Change, sentence: str) -> None:
    assert complain(change) == sentence


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            put([1, 2], "classifier", "grid", "pairing.alpha"),
            "classifier.grid must include pairing.alpha 0.2, the value of the arm 'mixup'",
        ),
        (
            put([10, 40], "classifier", "grid", "augmentation.randaugment.strength"),
            "classifier.grid has a value that arm 'randaugment' cannot have: augmentation.strength: input should be"
            " less than 30; got 40.0",
        ),
        (put([5.0], "classifier", "grid", "real_weight"), "classifier.grid must include real_weight 20.0, the"),
        (put([200], "classifier", "grid", "steps"), "grid.steps must include 800, the value of steps"),
        (put([], "classifier", "grid", "pairing.alpha"), "'classifier.grid.pairing.alpha' in"),
        (put([0.2, *range(1, 7)], "classifier", "grid", "pairing.alpha"), "the grid may have at most 6 settings"),
    ],
)
def test_a_grid_whose_values_do_not_fit_the_arms_is_refused(change: Change, sentence: str) -> None:
    assert sentence in complain(change)


TAIL = {
    "sampler": {"kind": "class_balanced", "start": 0.8},
    "loss": {"kind": "ldam", "max_margin": 0.5, "scale": 30, "beta": 0.9999, "start": 0.6},
}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            put(1, "baselines", "tail", "sampler", "start"),
            f"'baselines.tail.sampler.start' in {PATH}: input should be less than 1; got 1",
        ),
        (
            put(-0.1, "baselines", "tail", "loss", "start"),
            f"'baselines.tail.loss.start' in {PATH}: input should be greater than or equal to 0; got -0.1",
        ),
        (
            put(1.0, "baselines", "tail", "loss", "beta"),
            f"'baselines.tail.loss.beta' in {PATH}: input should be less than 1; got 1.0",
        ),
        (
            put(0, "baselines", "tail", "loss", "max_margin"),
            f"'baselines.tail.loss.max_margin' in {PATH}: input should be greater than 0; got 0",
        ),
        (
            put({"kind": "logit_adjusted", "tau": -1}, "baselines", "tail", "loss"),
            f"'baselines.tail.loss.tau' in {PATH}: input should be greater than or equal to 0; got -1",
        ),
        (
            put({"kind": "focal", "gamma": 11}, "baselines", "tail", "loss"),
            f"'baselines.tail.loss.gamma' in {PATH}: input should be less than or equal to 10; got 11",
        ),
        (
            put({"kind": "focal", "start": 0.5}, "baselines", "tail", "loss"),
            f"'baselines.tail.loss' in {PATH}: start has no effect with kind: focal; it belongs to class_weighted and"
            " effective_number and ldam",
        ),
        (
            put(0.0, "baselines", "tail", "loss", "beta"),
            f"'baselines.tail.loss' in {PATH}: start has no effect with beta 0: only the weights of the classes are"
            " deferred",
        ),
        (
            put("mixup", "baselines", "tail", "pairing"),
            f"'baselines.tail' in {PATH}: loss: ldam needs hard labels, and pairing: mixup blends them; remove one",
        ),
        (
            put(0.1, "classifier", "label_smoothing"),
            f"{PATH}: loss: ldam of the arm 'tail' needs hard labels, and classifier.label_smoothing 0.1 spreads them;"
            " remove one",
        ),
        (
            put([0.5, 2], "classifier", "grid", "loss.gamma"),
            f"{PATH}: classifier.grid tries loss.gamma, which no arm has",
        ),
        (
            put([0.4, 1], "classifier", "grid", "loss.max_margin"),
            f"{PATH}: classifier.grid must include loss.max_margin 0.5, the value of the arm 'tail'",
        ),
        (
            put([0.5, 3], "classifier", "grid", "loss.max_margin"),
            f"{PATH}: classifier.grid has a value that arm 'tail' cannot have: loss.max_margin: input should be less"
            " than or equal to 2; got 3.0",
        ),
    ],
)  # fmt: skip
def test_impossible_settings_for_long_tails_are_refused_in_one_sentence(change: Change, sentence: str) -> None:
    assert complain(put(copy.deepcopy(TAIL), "baselines", "tail"), change) == sentence


def test_a_grid_may_try_the_numbers_of_losses_and_samplers_for_long_tails() -> None:
    content = copy.deepcopy(CONTENT["fashion-flow"])
    content["baselines"] |= {
        "tail": copy.deepcopy(TAIL),
        "adjusted": {"loss": {"kind": "logit_adjusted", "tau": 0.5}},
        "oversampled": {"sampler": {"kind": "class_balanced", "start": 0.8}},
    }
    content["classifier"]["grid"] = {"loss.tau": [0.5, 1.0], "loss.max_margin": [0.5], "sampler.start": [0.8, 0.0]}
    recipe = parse_recipe(content, PATH)
    grid, arms = recipe.classifier.grid, recipe.baselines
    settings = {name: grid.list_settings(arms[name], is_expanded=False) for name in arms}
    assert {name: len(found) for name, found in settings.items() if len(found) > 1} == {
        "oversampled": 2, "tail": 2, "adjusted": 2, "mixup+adjusted": 2,
    }  # fmt: skip
    assert set_numbers(arms["adjusted"], settings["adjusted"][1]).loss == LogitAdjustedLoss(tau=1.0)


def test_a_grid_key_that_no_arm_has_is_refused() -> None:
    content = CONTENT["fashion-flow"]
    mixed = [
        (side, name) for side in ("baselines", "expanded") for name, arm in content[side].items() if "pairing" in arm
    ]
    without = [put("none", side, name, "pairing") for side, name in mixed]
    sentence = complain(*without, put([0.2], "classifier", "grid", "pairing.alpha"))
    assert sentence == f"{PATH}: classifier.grid tries pairing.alpha, which no arm has"


def test_a_grid_may_try_numbers_of_the_arms() -> None:
    content = copy.deepcopy(CONTENT["fashion-flow"])
    content["classifier"]["grid"] |= {"pairing.alpha": [0.2, 1], "weight_decay": [0.1], "real_weight": [5, 20]}
    recipe = parse_recipe(content, PATH)
    tried = {
        name: len(recipe.classifier.grid.list_settings(arm, is_expanded=name in recipe.expanded))
        for name, arm in {**recipe.baselines, **recipe.expanded}.items()
    }
    assert [tried[name] for name in ("real", "mixup", "expanded", "expanded+mixup")] == [1, 2, 2, 4]


def test_real_arm_with_keys_is_refused_because_it_is_the_yardstick() -> None:
    sentence = complain(put("flip_crop", "baselines", "real", "augmentation"))
    assert "the arm 'real' is plain training and takes no keys; give your arm another name" in sentence


def test_baselines_without_real_are_refused() -> None:
    assert "baselines must contain an arm called 'real'" in complain(drop("baselines", "real"))


def test_name_in_both_baselines_and_expanded_is_refused() -> None:
    assert "arm 'mixup' is in baselines and in expanded; names must differ" in complain(put({}, "expanded", "mixup"))


def test_a_generator_that_no_classifier_would_learn_from_is_refused() -> None:
    assert complain(put(6, "generator", "seeds")) == (
        f"{PATH}: generator.seeds 6 is above classifier.seeds 5: no classifier would learn from the last generator"
    )


def test_a_learning_curve_has_no_more_seeds_than_the_classifiers() -> None:
    assert complain(put(6, "verdict", "curve_seeds")) == (
        f"{PATH}: verdict.curve_seeds 6 is above classifier.seeds 5: the curve ends at the networks of these seeds"
    )


def test_two_generators_are_refused_where_a_verdict_could_be_reached() -> None:
    assert complain(put(2, "generator", "seeds")) == (
        f"{PATH}: generator.seeds 2: two generators are too few for a verdict about another one; use 1, or at least 3"
    )
    content = copy.deepcopy(CONTENT["fashion-flow"])
    content["generator"]["seeds"], content["classifier"]["seeds"] = 2, 4
    assert parse_recipe(content, PATH).generator.seeds == 2


def test_a_generator_from_elsewhere_is_not_trained_several_times() -> None:
    foreign = {"kind": "onnx", "path": "models/sampler.onnx", "sha256": "0" * 64, "seeds": 3}
    content = copy.deepcopy(CONTENT["fashion-flow"]) | {"generator": foreign, "sampler": {}}
    with pytest.raises(UserError) as error:
        parse_recipe(content, PATH)
    assert str(error.value) == (
        f"'generator.seeds' in {PATH}: a generator of kind: onnx was trained elsewhere, so there is only one;"
        " remove this key; got 3"
    )


def test_a_generator_from_elsewhere_may_be_used_or_refused_like_any_other() -> None:
    foreign = {"kind": "onnx", "path": "models/sampler.onnx", "sha256": "0" * 64}
    for usable_from in (None, 0.0, 0.7):
        content = copy.deepcopy(CONTENT["fashion-flow"]) | {
            "generator": foreign,
            "sampler": {"usable_from": usable_from},
        }
        assert parse_recipe(content, PATH).sampler.usable_from == usable_from
    with pytest.raises(UserError, match="usable_from"):
        parse_recipe(content | {"sampler": {"usable_from": 1.5}}, PATH)


@pytest.mark.parametrize(("rates", "decays"), [(7, 1), (1, 7), (3, 3)])
def test_grid_of_more_than_six_settings_is_refused(rates: int, decays: int) -> None:
    grid = {"learning_rate": [0.1] * rates, "weight_decay": [0.0] * decays}
    assert complain(put(grid, "classifier", "grid")) == (
        f"'classifier.grid' in {PATH}: the grid may have at most 6 settings"
    )


def test_grid_of_six_settings_is_allowed() -> None:
    content = copy.deepcopy(CONTENT["fashion-flow"])
    content["classifier"]["grid"] = {"learning_rate": [0.1, 0.2, 0.3], "weight_decay": [0.0, 0.1]}
    assert len(parse_recipe(content, PATH).classifier.grid.learning_rate) == 3


def test_grid_with_a_negative_learning_rate_is_refused() -> None:
    assert complain(put([-0.1], "classifier", "grid", "learning_rate")) == (
        f"'classifier.grid.learning_rate' in {PATH}: input should be greater than 0; got -0.1"
    )


@pytest.mark.parametrize(
    ("raw", "line"),
    [
        (b"seed: 0\nplan: [1\nmix: 2\n", 3),
        (b"seed: 0\nsource: a\nseed: 1\n", 3),
        (b"seed: 0\nplan: *ghost\n", 2),
        (b"seed: !!python/object:os.system x\n", 1),
        (b"seed: 0\n\tplan: 1\n", 2),
        (b"seed: 0\n---\nseed: 1\n", 2),
    ],
)
def test_yaml_error_names_file_and_line(tmp_path: Path, raw: bytes, line: int) -> None:
    path = tmp_path / "broken.yaml"
    sentence = write_and_complain(path, raw)
    assert sentence.startswith(f"{path} is not valid YAML at line {line}, column ")


@pytest.mark.parametrize("raw", [b"seed: \x07\n", b"\x00", b"seed: 2001-99-99\n"])
def test_control_character_or_impossible_date_is_a_yaml_error(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "broken.yaml"
    assert write_and_complain(path, raw).startswith(f"{path} is not valid YAML")


def test_file_that_is_not_utf8_names_the_byte(tmp_path: Path) -> None:
    path = tmp_path / "latin.yaml"
    sentence = write_and_complain(path, b"source: caf\xe9\n")
    assert sentence == f"{path} is not UTF-8 text: invalid continuation byte at byte 11"


@pytest.mark.parametrize(
    ("raw", "kind"), [(b"", "NoneType"), (b"# nothing\n", "NoneType"), (b"- a\n", "list"), (b"hello", "str")]
)
def test_error_for_a_file_without_keys_names_its_type(tmp_path: Path, raw: bytes, kind: str) -> None:
    path = tmp_path / "odd.yaml"
    assert write_and_complain(path, raw) == f"{path} must hold recipe keys such as 'source:'; it holds {kind}"


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nowhere\.yaml does not exist$"):
        load_recipe(tmp_path / "nowhere.yaml")


def test_mistake_in_a_file_names_that_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    content = {**CONTENT["smoke"], "sead": 1}
    with path.open("w", encoding="utf-8") as file:
        YAML(typ="safe").dump(content, file)
    with pytest.raises(UserError) as caught:
        load_recipe(path)
    assert str(caught.value) == f"unknown key 'sead' in {path}; did you mean 'seed'?"


def test_yaml_that_is_too_deep_too_large_or_not_a_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    for content, words in (
        ("[" * 1_000, "is nested too deeply"),
        ("{a: " * 1_000, "is nested too deeply"),
        ("a: " + "x" * 300_000, "has 300,003 bytes; allowed: 262,144"),
        ('a: "\\0"', "a text contains '\\x00', which cannot be written"),
        ('a: ["\\ud800"]', "a text contains '\\ud800', which cannot be written"),
        ("a: !!int x", "is not valid YAML"),
        ("a: !!bool x", "is not valid YAML"),
        ("a: !!timestamp x", "is not valid YAML"),
    ):
        path.write_text(content)
        with pytest.raises(UserError) as caught:
            read_yaml(path)
        assert words in str(caught.value) and "\n" not in str(caught.value)
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(UserError, match="x.yaml is not a file"):
        read_yaml(path)


def test_aliases_that_expand_to_gigabytes_are_shortened(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    path = tmp_path / "x.yaml"
    path.write_text("\n".join([*lines, "source: *a11"]))
    content = read_yaml(path)
    with pytest.raises(UserError) as caught:
        parse_recipe({"source": content["source"]}, path)
    assert "'source'" in str(caught.value) or "is missing" in str(caught.value)
    assert len(str(caught.value)) < 1_000
