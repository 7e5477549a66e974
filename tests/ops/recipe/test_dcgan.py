"""The keys of kind `dcgan`: what has no effect or is too small is refused in one sentence."""

from __future__ import annotations

from typing import Any

import pytest

from ops.errors import UserError
from ops.recipe.dcgan import DcganSettings
from ops.recipe.loading import load_recipe, parse_recipe
from tests.workspaces import ROOT

DEMO = ROOT / "recipes" / "fashion-flow.yaml"


def parse(generator: dict[str, Any], sampler: dict[str, Any], **changes: Any) -> Any:
    content = load_recipe(DEMO).model_dump(mode="json")
    return parse_recipe({**content, "generator": generator, "sampler": sampler, **changes}, DEMO)


def test_all_keys_have_defaults_and_the_critic_learns_twice_as_fast() -> None:
    recipe = parse({"kind": "dcgan"}, {})
    assert recipe.generator == DcganSettings()
    assert recipe.generator.list_inputs(recipe.sampler) == ("noise", "label")
    assert (recipe.generator.learning_rate, recipe.generator.critics_rate) == (1e-3, 2e-3)
    assert DcganSettings(critic_rate=0.3).critics_rate == 0.3
    assert parse({"kind": "dcgan", "augment": ["cutout"]}, {}).generator.augment == ("cutout",)


@pytest.mark.parametrize(
    ("generator", "sampler", "sentence"),
    [
        ({"width": 12}, {}, "multiple of 8"),
        ({"batch_size": 7}, {}, "greater than or equal to 8"),
        ({"augment": ["flip"]}, {}, "'colour', 'translation' or 'cutout'; got 'flip'"),
        ({"augment": ["cutout", "cutout"]}, {}, "augment names a change twice; name each once"),
        ({"optimizer": "muon"}, {}, "optimizer"),
        ({}, {"steps": 3}, "steps has no effect with kind: dcgan, which draws in one evaluation; remove it"),
        ({}, {"solver": "heun"}, "solver has no effect with kind: dcgan, which draws in one evaluation; remove it"),
        ({}, {"guidance": 2.0}, "guidance has no effect with kind: dcgan, which draws in one evaluation; remove it"),
        ({}, {"strength": 0.5}, "strength is not possible with kind: dcgan, which draws from noise alone"),
        ({}, {"precision": "int8"}, "precision must be fp32 with kind: dcgan; got 'int8'"),
    ],
)
def test_values_that_have_no_effect_or_exclude_each_other_are_refused(
    generator: dict[str, Any], sampler: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(UserError) as refused:
        parse({"kind": "dcgan", **generator}, sampler)
    assert sentence in str(refused.value) and "\n" not in str(refused.value)


def test_it_cannot_be_a_prior_which_varies_images() -> None:
    with pytest.raises(UserError) as refused:
        parse({"kind": "prior"}, {"strength": 0.4}, prior={"kind": "dcgan", "pool": "others"})
    assert str(refused.value).endswith("unknown kind; choose one of flow, latent, instance, mae")
