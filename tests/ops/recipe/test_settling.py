"""What validation chose takes the place of `auto`, in arms, scorer and generator, and survives its file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ops.errors import UserError
from ops.recipe.arms import Policy, RandAugment
from ops.recipe.denoisers import DenoiserSettings
from ops.recipe.loading import parse_recipe
from ops.recipe.schema import Recipe
from ops.recipe.settling import TrainingPolicy, read_policy, settle_recipe
from ops.settings.reading import read_yaml

PATH = Path(__file__).parents[3] / "recipes" / "smoke.yaml"
COMPOSED = Policy(shift=0.1, gain=0.5, blur=1.0, noise=0.1, erasing=0.3)
CHOSEN = TrainingPolicy(RandAugment(strength=8.0), "image", 400, {"stride": 1, "width": 16}, COMPOSED)


def make_recipe(**generator: Any) -> Recipe:
    content = read_yaml(PATH)
    content["tuning"]["policy"] = True
    content["scorer"]["augmentation"] = "auto"
    content["generator"] |= generator
    return parse_recipe(content, PATH)


def test_a_policy_survives_its_file() -> None:
    assert read_policy(CHOSEN.to_dict()) == CHOSEN
    assert read_policy({}) is None


def test_a_generator_gets_the_operations_that_it_can_be_told_of() -> None:
    recipe = settle_recipe(make_recipe(augment=0.5, augmentation="auto"), CHOSEN)
    assert isinstance(recipe.generator, DenoiserSettings)
    assert recipe.generator.policy == Policy(shift=0.1, gain=0.5)
    assert recipe.scorer.augmentation == RandAugment(strength=8.0)


def test_a_generator_with_operations_of_its_own_keeps_them() -> None:
    recipe = make_recipe(augment=0.5, augmentation={"kind": "policy", "flip": 0.5})
    assert settle_recipe(recipe, CHOSEN).generator == recipe.generator


@pytest.mark.parametrize(
    ("generator", "tuning", "sentence"),
    [
        ({"augmentation": "auto"}, True, "augmentation has no effect with augment: 0.0"),
        ({"augment": 0.5, "augmentation": "auto"}, False, "augmentation: auto of the generator needs tuning"),
        (
            {"augment": 0.5, "augmentation": {"kind": "policy", "blur": 1.0}},
            True,
            "augmentation.blur has no effect on a generator",
        ),
    ],
)
def test_augmentations_without_effect_are_refused(generator: dict[str, Any], tuning: bool, sentence: str) -> None:
    content = read_yaml(PATH)
    content["generator"] |= generator
    content["tuning"]["policy"] = tuning
    if tuning:
        content["scorer"]["augmentation"] = "auto"
    with pytest.raises(UserError) as caught:
        parse_recipe(content, PATH)
    assert sentence in str(caught.value)
