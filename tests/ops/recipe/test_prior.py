"""The section `prior`: what it takes, what it refuses, and whose identity it is part of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ops.errors import UserError
from ops.recipe.fingerprints import is_idle, list_inputs, stage_settings
from ops.recipe.kinds import KINDS, ONLY_PRIORS, PRIORS
from ops.recipe.loading import load_recipe, parse_recipe
from ops.recipe.prior import PoolSettings, PriorGeneratorSettings
from ops.recipe.schema import Recipe
from ops.recipe.stages import STAGES
from ops.settings.reading import read_yaml
from tests.recipes import refused

SMOKE = Path(__file__).parents[3] / "recipes" / "smoke.yaml"
WITHOUT = {key: value for key, value in read_yaml(SMOKE).items() if key != "prior"}
POOL: dict[str, Any] = {"kind": "flow", "pool": "others", "steps": 30}
WITH: dict[str, Any] = {**WITHOUT, "prior": POOL, "generator": {"kind": "prior"}, "sampler": {"strength": 0.4}}


def parse(**sections: Any) -> Recipe:
    return parse_recipe({**WITH, **sections}, "mine.yaml")


def test_any_kind_that_says_which_keys_need_classes_can_be_a_prior_and_no_other() -> None:
    assert list(PRIORS) == ["flow", "latent", "instance", "mae"]
    for name, settings in PRIORS.items():
        assert issubclass(settings, {**KINDS, **ONLY_PRIORS}[name]) and issubclass(settings, PoolSettings)
        assert (settings.class_keys or frozenset()) <= set(settings.model_fields)


@pytest.mark.parametrize("kind", ONLY_PRIORS)
def test_some_kinds_are_no_generators_by_themselves(kind: str) -> None:
    with refused("unknown kind; choose one of flow, "):
        parse(generator={"kind": kind})


def test_the_generator_of_kind_prior_resolves_its_sampler_as_the_priors_kind_does() -> None:
    recipe = parse(sampler={"strength": 0.4})
    assert isinstance(recipe.generator, PriorGeneratorSettings) and recipe.generator.prior is recipe.prior
    assert (recipe.sampler.solver, recipe.sampler.steps, recipe.sampler.strength) == ("heun", 3, 0.4)
    assert recipe.generator.list_inputs(recipe.sampler) == ("noise", "image")
    auto = parse(sampler={"strength": "auto", "solver": "euler"})
    assert (auto.sampler.solver, auto.sampler.steps, auto.sampler.strength) == ("euler", 16, "auto")
    again = parse_recipe(recipe.model_dump(mode="json"), "mine.yaml")
    assert again == recipe and again.generator.prior == recipe.prior  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("sections", "sentence"),
    [
        ({"prior": None}, "'generator' in mine.yaml: kind: prior needs a prior; add prior: {kind: flow, pool: NAME}"),
        (
            {"generator": {"kind": "flow"}},
            "'generator' in mine.yaml: prior has no effect with kind: flow; write kind: prior, or remove the prior",
        ),
        ({"sampler": {}}, "'sampler' in mine.yaml: strength is needed with kind: prior"),
        ({"sampler": {"strength": 0.4, "guidance": 2.0}}, "guidance is not possible with kind: prior"),
        ({"sampler": {"strength": "auto", "keeps": None}}, "strength: auto needs keeps"),
        ({"sampler": {"strength": 0.001}}, "strength 0.001 leaves the seed image as it is"),
        ({"sampler": {"strength": 0.4, "solver": "ddim"}}, "solver must be heun or euler"),
        ({"generator": {"kind": "prior", "seeds": 2}}, "there is only one; remove this key"),
        ({"prior": {"kind": "flow"}}, "key 'prior.pool' is missing in mine.yaml"),
        (
            {"prior": {**POOL, "kind": "edm"}},
            "'prior' in mine.yaml: unknown kind; choose one of flow, latent, instance",
        ),
        ({"prior": {**POOL, "widht": 8}}, "unknown key 'prior.widht' in mine.yaml; did you mean 'widths'?"),
        ({"prior": {**POOL, "label_dropout": 0.1}}, "label_dropout has no effect in a prior, which knows no classes"),
        ({"prior": {**POOL, "distillation": {}}}, "distillation has no effect in a prior"),
        ({"prior": {**POOL, "augment": 0.5, "augmentation": "auto"}}, "augmentation: auto is not possible in a prior"),
        ({"prior": {**POOL, "pool": "../x"}}, "'prior.pool' in mine.yaml"),
        ({"on_new_images": "keep_generator"}, "keep_generator has no effect with a prior"),
    ],
)
def test_what_does_not_belong_together_gives_one_sentence(sections: dict[str, Any], sentence: str) -> None:
    with refused(sentence):
        parse(**sections)


def test_no_prior_is_written_as_null_and_is_no_input_of_any_stage() -> None:
    with pytest.raises(
        UserError, match="key 'prior' is missing in .*; add it .an empty section is written 'prior: null'"
    ):
        parse_recipe(WITHOUT, SMOKE)
    null = parse_recipe({**WITHOUT, "prior": None}, SMOKE)
    assert null == load_recipe(SMOKE) and is_idle(null, "prior")
    for name, stage in STAGES.items():
        asked = {each for each, _, _ in stage.asks}
        assert list_inputs(null, name) == tuple(
            each for each in stage.inputs if each not in {"prior", "label_curve", *asked}
        )
    assert stage_settings(null, "prior") == {"prior": None}


def test_the_prior_is_an_input_of_what_is_made_with_it() -> None:
    readers = {name for name in STAGES if "prior" in list_inputs(parse(), name)}
    assert readers == {"generator", "folds", "verdict", "report"}


def test_no_other_section_is_part_of_the_priors_identity() -> None:
    before = stage_settings(parse(), "prior")
    assert stage_settings(parse(seed=7, data={"images_per_class": 3}, source="another"), "prior") == before
    assert stage_settings(parse(prior={**POOL, "seed": 1}), "prior") != before
