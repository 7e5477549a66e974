"""The keys of kind `latent`: defaults, values that are refused in one sentence, and what its sampler takes."""

from __future__ import annotations

from typing import Any

import pytest

from ops.errors import UserError
from ops.recipe.latent import LatentSettings
from ops.recipe.loading import load_recipe, parse_recipe
from tests.workspaces import ROOT

DEMO = ROOT / "recipes" / "fashion-flow.yaml"


def parse(generator: dict[str, Any], sampler: dict[str, Any]) -> Any:
    content = load_recipe(DEMO).model_dump(mode="json")
    return parse_recipe({**content, "generator": {"kind": "latent", **generator}, "sampler": sampler}, DEMO)


def test_all_keys_have_defaults_and_the_sampler_has_steps_of_its_own() -> None:
    recipe = parse({}, {})
    assert recipe.generator == LatentSettings()
    assert (recipe.sampler.solver, recipe.sampler.steps, recipe.sampler.strength) == ("heun", 6, None)
    assert recipe.generator.list_inputs(recipe.sampler) == ("noise", "label")
    given = parse({"autoencoder": {"steps": 20}}, {"strength": 0.4, "solver": "euler"})
    assert given.generator.autoencoder == LatentSettings().autoencoder.model_copy(update={"steps": 20})
    assert given.sampler.steps == 24
    assert given.generator.list_inputs(given.sampler) == ("noise", "label", "image")
    assert parse({"distillation": {}}, {}).sampler.steps == 2


@pytest.mark.parametrize(
    ("generator", "sampler", "sentence"),
    [
        ({"autoencoder": {"halvings": 5}}, {}, "halvings"),
        ({"autoencoder": {"halvings": 0}}, {}, "halvings"),
        ({"autoencoder": {"width": 12}}, {}, "width"),
        ({"autoencoder": {"channels": 0}}, {}, "channels"),
        ({"autoencoder": {"kl": -1.0}}, {}, "kl"),
        ({"autoencoder": {"stepz": 3}}, {}, "stepz"),
        ({"widths": [12]}, {}, "widths must be positive multiples of 8"),
        ({"unshuffle": 3}, {}, "unshuffle"),
        ({}, {"solver": "ddim"}, "solver must be heun or euler with kind: latent; got 'ddim'"),
        ({}, {"guidance": 2.0}, "guidance needs a generator trained with label_dropout above 0"),
        ({}, {"strength": 0.001}, "strength 0.001 leaves the seed image as it is"),
        ({}, {"strength": "auto"}, "give a number with kind: latent"),
        ({"distillation": {}}, {"strength": 0.4}, "strength is not possible with generator.distillation"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence_that_names_it(
    generator: dict[str, Any], sampler: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence):
        parse(generator, sampler)
