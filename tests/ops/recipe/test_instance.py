"""The keys of a prior of kind `instance`: defaults, what its sampler takes, and values refused in one sentence."""

from __future__ import annotations

from typing import Any

import pytest

from ops.recipe.instance import EncoderSettings, InstanceSettings
from ops.recipe.schema import Recipe
from tests.recipes import parse_prior, refused


def parse(prior: dict[str, Any], sampler: dict[str, Any] | None = None) -> Recipe:
    return parse_prior({"kind": "instance", **prior}, sampler)


def test_a_prior_that_names_its_pool_has_defaults_for_all_else() -> None:
    prior = parse({}).prior
    assert isinstance(prior, InstanceSettings) and prior.encoder == EncoderSettings()
    changed = parse({"encoder": {"features": 8}}).prior
    assert isinstance(changed, InstanceSettings)
    assert changed.encoder == EncoderSettings().model_copy(update={"features": 8})


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0, "auto"])
def test_any_share_of_the_features_may_be_hidden_even_none(strength: float | str) -> None:
    recipe = parse({}, {"strength": strength})
    assert (recipe.sampler.solver, recipe.sampler.steps, recipe.sampler.strength) == ("heun", 3, strength)
    assert recipe.generator.list_inputs(recipe.sampler) == ("noise", "image")


@pytest.mark.parametrize(
    ("prior", "sampler", "sentence"),
    [
        ({"encoder": {"features": 1}}, None, "encoder.features"),
        ({"encoder": {"width": 12}}, None, "encoder.width"),
        ({"encoder": {"batch_size": 1}}, None, "encoder.batch_size"),
        ({"encoder": {"stepz": 3}}, None, "stepz"),
        ({"couple_noise": False}, None, "unknown key 'prior.couple_noise'"),
        ({"distillation": {}}, None, "unknown key 'prior.distillation'"),
        ({"class_transfer": 1.0}, None, "class_transfer has no effect in a prior, which knows no classes"),
        ({"augment": 0.5, "augmentation": "auto"}, None, "augmentation: auto is not possible in a prior"),
        ({}, {"strength": 1.5}, "sampler.strength"),
        ({}, {"strength": 0.4, "solver": "ddim"}, "solver must be heun or euler with kind: instance; got 'ddim'"),
        ({}, {"strength": 0.4, "guidance": 2.0}, "guidance is not possible with kind: prior"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(
    prior: dict[str, Any], sampler: dict[str, Any] | None, sentence: str
) -> None:
    with refused(sentence):
        parse(prior, sampler)
