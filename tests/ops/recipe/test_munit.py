"""The keys of kind `munit`: values that exclude each other are refused in one sentence, before anything is computed."""

from __future__ import annotations

from typing import Any

import pytest

from ops.errors import UserError
from ops.recipe.loading import load_recipe, parse_recipe
from ops.recipe.munit import MunitSettings
from tests.workspaces import ROOT

DEMO = ROOT / "recipes" / "fashion-flow.yaml"


def parse(generator: dict[str, Any], sampler: dict[str, Any]) -> Any:
    content = load_recipe(DEMO).model_dump(mode="json")
    return parse_recipe({**content, "generator": generator, "sampler": sampler}, DEMO)


def test_all_keys_have_defaults_and_the_critic_learns_twice_as_fast() -> None:
    recipe = parse({"kind": "munit"}, {})
    assert recipe.generator == MunitSettings()
    assert (recipe.sampler.solver, recipe.sampler.steps, recipe.sampler.strength) == (None, None, None)
    assert MunitSettings(learning_rate=0.1).critics_rate == 0.2
    assert MunitSettings(learning_rate=0.1, critic_rate=0.3).critics_rate == 0.3


def test_images_of_this_kind_have_parents() -> None:
    content = load_recipe(DEMO).model_dump(mode="json")
    content |= {"generator": {"kind": "munit"}, "sampler": {}}
    content["filter"]["near_parent"] = 0.01
    assert parse_recipe(content, DEMO).filter.near_parent is not None


@pytest.mark.parametrize(
    ("generator", "sampler", "sentence"),
    [
        ({"sampling": "crossed"}, {}, "sampling: crossed needs branches: 2"),
        ({"width": 12}, {}, "multiple of 8"),
        ({"branches": 3}, {}, "1 or 2"),
        ({"augment": 1.5}, {}, "less than or equal to 1"),
        ({}, {"steps": 3}, "steps has no effect with kind: munit, which draws in one evaluation; remove it"),
        ({}, {"solver": "heun"}, "solver has no effect with kind: munit, which draws in one evaluation; remove it"),
        ({}, {"guidance": 2.0}, "guidance has no effect with kind: munit, which draws in one evaluation; remove it"),
        ({}, {"precision": "int8"}, "precision must be fp32 with kind: munit; got 'int8'"),
        ({}, {"strength": 1.5}, "less than or equal to 1"),
        ({}, {"strength": "auto", "keeps": None}, "strength: auto needs keeps: how often variants must be named"),
        (
            {"kind": "flow"},
            {"strength": "auto"},
            "strength: auto is possible with kind: munit and kind: prior; give a number",
        ),
    ],
)
def test_values_that_have_no_effect_or_exclude_each_other_are_refused(
    generator: dict[str, Any], sampler: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(UserError) as refused:
        parse({"kind": "munit", **generator}, sampler)
    assert sentence in str(refused.value) and "\n" not in str(refused.value)
