"""The medical profile of imagination, as a recipe is read: what it sets, and what it rules out in one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ops.chain.parts import variant_strength
from ops.chain.parts.imagining_preset import settle
from ops.errors import UserError
from ops.imagination.projection import Ball
from ops.recipe.kinds import PRIORS
from ops.recipe.loading import parse_recipe
from ops.recipe.medical import MOST_STRENGTH
from ops.recipe.profiles import limit_strength
from ops.recipe.schema import Recipe
from ops.settings.reading import read_yaml
from tests.recipes import refused

SMOKE = Path(__file__).parents[3] / "recipes" / "smoke.yaml"
STILL = {"kind": "policy", "shift": 0.1}
CLIP = {"kind": "clip", "model": "clip"}


def parse(imagination: dict[str, Any], prior: dict[str, Any] | None = None, **sections: Any) -> Recipe:
    sampler = {"imagination": {"profile": "medical", **imagination}, **sections.pop("sampler", {})}
    drawing = {"prior": {"kind": "latent", "pool": "others", **(prior or {})}, "generator": {"kind": "prior"}}
    given = {"on_new_images": "retrain", "scorer": {"augmentation": STILL}, "sampler": sampler, **drawing, **sections}
    return parse_recipe({**read_yaml(SMOKE), **given}, "mine.yaml")


def test_it_sets_a_low_strength_and_a_small_ball_where_the_recipe_has_none() -> None:
    recipe = parse({})
    assert recipe.sampler.strength == 0.2 and recipe.sampler.imagination is not None
    assert settle(recipe.sampler.imagination, 9).preset.ball == Ball(0.1)
    given = parse({"radius": 0.5}, sampler={"strength": 0.4})
    assert given.sampler.strength == 0.4 and given.sampler.imagination is not None
    assert settle(given.sampler.imagination, 9).preset.ball == Ball(0.5)
    longer = parse({"norm": "l2", "radius": 8.0})  # its length has another measure
    assert longer.sampler.imagination is not None
    assert settle(longer.sampler.imagination, 9).preset.ball == Ball(8.0, "l2")


def test_a_strength_that_is_chosen_is_chosen_among_low_ones() -> None:
    recipe = parse({}, sampler={"strength": "auto"})
    assert [each for each in variant_strength.STRENGTHS if each <= limit_strength(recipe.sampler.imagination)] == [
        0.4,
        0.2,
    ]
    assert limit_strength(None) == 1.0 and MOST_STRENGTH == 0.4


@pytest.mark.parametrize(
    ("imagination", "prior", "sections", "sentence"),
    [
        ({}, {}, {"sampler": {"strength": 0.6}}, "sampler.strength 0.6 is above 0.4, the most with"),
        ({"radius": 0.8}, {}, {}, "sampler.imagination.radius 0.8 is above 0.5, the most with profile: medical"),
        ({}, {}, {"scorer": {}}, "scorer.augmentation: flip_crop mirrors images, so that the scorer would not see"),
        (
            {},
            {"kind": "mae"},
            {},
            "prior.hidden hides up to 0.5 of a seed image's patches, which are then invented; 0.1",
        ),
        ({}, {"augment": 0.2}, {}, "prior.augmentation: moves mirrors images, which profile: medical does not allow"),
        (
            {"scorer": {**CLIP, "templates": ["a Colorful ultrasound image of {class}"]}},
            {},
            {},
            "allows no word for a style, such as 'Colorful'; remove it",
        ),
        (
            {"scorer": {**CLIP, "templates": ["a CT image of {class}", "a high-contrast image of {class}"]}},
            {},
            {},
            "sampler.imagination.scorer.templates has 'a high-contrast image of {class}'",
        ),
    ],
)
def test_what_it_rules_out_gives_one_sentence(
    imagination: dict[str, Any], prior: dict[str, Any], sections: dict[str, Any], sentence: str
) -> None:
    with refused(sentence):
        parse(imagination, prior, **sections)


def test_an_encoder_that_takes_mirrored_views_for_one_image_is_ruled_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PRIORS["instance"], "imagines", True)
    with pytest.raises(UserError, match=r"prior\.encoder\.flip is not possible with profile: medical; set it to 0"):
        parse({}, {"kind": "instance", "encoder": {"flip": 0.5}})
    assert parse({}, {"kind": "instance"}).sampler.strength == 0.2


def test_few_hidden_patches_of_a_masked_autoencoder_are_allowed() -> None:
    assert parse({}, {"kind": "mae", "hidden": [0.0, 0.1]}).sampler.strength == 0.2


def test_only_a_kind_that_varies_by_a_strength_gets_one() -> None:
    def draw(**generator: Any) -> Recipe:
        named = {"model": "x", "licence": "MIT", **generator}
        given = {**read_yaml(SMOKE), "generator": named, "scorer": {"augmentation": STILL}}
        return parse_recipe({**given, "sampler": {"imagination": {"profile": "medical"}}}, "mine.yaml")

    assert draw(kind="stable-diffusion", mode="image").sampler.strength == 0.2
    with pytest.raises(UserError, match=r"sampler\.imagination varies seed images, and generator\.mode: text has none"):
        draw(kind="stable-diffusion", mode="text")
    with pytest.raises(UserError, match="profile: medical is not possible with kind: unclip, whose variants are drawn"):
        draw(kind="unclip")


def test_what_does_not_mirror_and_a_word_within_a_word_are_allowed() -> None:
    turned = {"augment": 0.2, "augmentation": {"kind": "policy", "rotation": 15.0}}
    scorer = {
        **CLIP,
        "templates": ["an ultrasound image of {class}, darkroom print", "a bright-field image of {class}"],
    }
    parse({"scorer": scorer}, turned, scorer={"augmentation": "none"})
