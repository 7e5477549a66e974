"""The keys of kind `stylegan2`, and `sampler.truncation`, which other kinds refuse."""

from __future__ import annotations

from typing import Any

import pytest

from ops.errors import UserError
from ops.recipe.fingerprints import stage_settings
from ops.recipe.kinds import KINDS
from ops.recipe.loading import load_recipe, parse_recipe
from ops.recipe.stylegan2 import StyleGan2Settings
from tests.workspaces import ROOT

DEMO = ROOT / "recipes" / "fashion-flow.yaml"


def parse(generator: dict[str, Any], sampler: dict[str, Any], **changes: Any) -> Any:
    content = load_recipe(DEMO).model_dump(mode="json")
    return parse_recipe({**content, "generator": generator, "sampler": sampler, **changes}, DEMO)


def test_all_keys_have_defaults_and_the_latent_follows_from_the_image() -> None:
    recipe = parse({"kind": "stylegan2"}, {})
    assert recipe.generator == StyleGan2Settings()
    assert recipe.generator.list_inputs(recipe.sampler) == ("noise", "label")
    assert [StyleGan2Settings().find_latent(shape) for shape in ((1, 28, 28), (1, 5, 6))] == [64, 30]
    assert parse({"kind": "stylegan2", "augment_target": None}, {}).generator.augment_target is None
    assert StyleGan2Settings().critics_rate == StyleGan2Settings().learning_rate == 0.0025
    assert StyleGan2Settings(latent=512).find_latent((1, 28, 28)) == 512


@pytest.mark.parametrize(
    ("generator", "sampler", "sentence"),
    [
        ({"width": 12}, {}, "multiple of 8"),
        ({"batch_size": 4}, {}, "greater than or equal to 8"),
        ({"batch_size": 34}, {}, "input should be a multiple of 4; got 34"),
        ({"augment_target": None, "augment_images": 9}, {}, "augment_images has no effect with augment_target: null;"),
        ({"penalty": -1.0}, {}, "greater than or equal to 0"),
        ({"augment_target": 1.5}, {}, "less than or equal to 1"),
        ({"augment": ["colour"]}, {}, "augment"),
        ({}, {"truncation": 1.2}, "less than or equal to 1"),
        ({}, {"steps": 3}, "steps has no effect with kind: stylegan2, which draws in one evaluation; remove it"),
        ({}, {"strength": 0.5}, "strength is not possible with kind: stylegan2, which draws from noise alone"),
        ({}, {"precision": "fp16"}, "precision must be fp32 with kind: stylegan2; got 'fp16'"),
    ],
)
def test_values_that_have_no_effect_or_are_out_of_range_are_refused(
    generator: dict[str, Any], sampler: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(UserError) as refused:
        parse({"kind": "stylegan2", **generator}, sampler)
    assert sentence in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"stylegan2", "prior", "stable-diffusion", "unclip", "onnx"}))
def test_a_truncation_is_refused_for_kinds_without_styles(kind: str) -> None:
    with pytest.raises(UserError) as refused:
        parse({"kind": kind}, {"truncation": 0.7})
    assert f"truncation has no effect with kind: {kind}, which has no styles; remove it" in str(refused.value)


def test_a_truncation_draws_anew_and_without_one_fingerprints_are_as_before() -> None:
    plain, truncated = parse({"kind": "stylegan2"}, {}), parse({"kind": "stylegan2"}, {"truncation": 0.7})
    assert "truncation" not in stage_settings(plain, "generator_onnx")["sampler"]
    assert stage_settings(truncated, "generator_onnx")["sampler"]["truncation"] == 0.7
    assert stage_settings(truncated, "generator") == stage_settings(plain, "generator")
