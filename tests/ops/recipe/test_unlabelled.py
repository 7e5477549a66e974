"""`data.unlabelled`: what a recipe may not say beside it, in one sentence each, and what stays as it was without it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ops.recipe.fingerprints import stage_settings
from ops.recipe.loading import load_recipe, parse_recipe
from ops.recipe.rehearsal import shrink
from ops.recipe.schema import Recipe
from ops.recipe.stages import STAGES
from ops.recipe.unlabelled import list_shown
from ops.settings.reading import read_yaml
from tests.recipes import refused

RECIPES = Path(__file__).parents[3] / "recipes"
KEYS = read_yaml(RECIPES / "fashion-adainf.yaml")


def parse(**sections: dict[str, Any] | str) -> Recipe:
    """The shipped recipe with other keys in its sections."""
    given = {
        name: keys if isinstance(keys, str) or name in ("generator", "prior") else KEYS[name] | keys
        for name, keys in sections.items()
    }
    return parse_recipe({**KEYS, **given}, "mine.yaml")


@pytest.mark.parametrize(
    ("sections", "sentence"),
    [
        (
            {"expanded": {"plain": {}}},
            "the arm 'plain' under expanded learns from labels (trainer: supervised), and with data.unlabelled"
            " generated images have none; give it a trainer without labels: simclr, moco, byol, barlow_twins",
        ),
        ({"filter": {"wrong_label": 0.1}}, "filter.wrong_label has no effect with data.unlabelled"),
        ({"filter": {"clip": {"model": "m", "sha256": "0" * 64}}}, "filter.clip has no effect with data.unlabelled"),
        ({"data": {"nuisance": "rotation"}}, "data.nuisance has no effect with data.unlabelled"),
        ({"on_new_images": "keep_generator"}, "write on_new_images: retrain"),
        ({"generator": {"kind": "flow", "label_dropout": 0.1}}, "generator.label_dropout has no effect with"),
        ({"generator": {"kind": "edm", "class_transfer": 1.0}, "sampler": {"solver": None}}, "class_transfer has no"),
        ({"generator": {"kind": "munit"}, "sampler": {"solver": None, "steps": None}}, "generator.kind: munit needs"),
        ({"generator": {"kind": "geometry"}, "sampler": {"solver": None, "steps": None}}, "generator.kind: geometry"),
        ({"sampler": {"strength": 0.4}}, "sampler.strength needs labelled images, and data.unlabelled expands images"),
        ({"report": {"worth": {}}}, "report.worth tells gains in labels of training images"),
        ({"verdict": {"folds": 5}, "data": {"images_per_class": None}}, "verdict.folds divides labelled images"),
        ({"automation": {"schedule": "0 3 * * *"}}, "automation notices new images of the labelled source alone"),
        (
            {"prior": {"kind": "flow", "pool": "more"}, "generator": {"kind": "prior"}, "sampler": {"strength": 0.4}},
            "data.unlabelled and prior both learn from images without labels",
        ),
    ],
)  # fmt: skip
def test_what_has_no_meaning_without_labels_gives_one_sentence(sections: dict[str, Any], sentence: str) -> None:
    if "automation" in sections:
        with refused(sentence):
            parse_recipe({**KEYS, **sections}, "mine.yaml")
    else:
        with refused(sentence):
            parse(**sections)


def test_what_no_label_touches_is_allowed() -> None:
    recipe = parse(
        generator={"kind": "latent"}, data={"images_per_class": None, "label_noise": 0.1}, plan={"ratio": 2.0}
    )
    assert recipe.data.unlabelled == "fashion-mnist"
    arms = {
        "placebo": {**KEYS["expanded"]["adainf"], "placebo": "augmented"},
        "small": {"trainer": "simclr", "ratio": 1.0},
    }
    assert set(parse(expanded=arms, baselines={"large": {"trainer": "simclr"}}).expanded) == {*KEYS["expanded"], *arms}


def test_other_recipes_keep_their_fingerprints_and_this_one_has_its_own() -> None:
    plain = stage_settings(load_recipe(RECIPES / "fashion-flow.yaml"), "real_images")
    assert "unlabelled" not in plain["data"]
    assert stage_settings(parse(), "real_images")["data"]["unlabelled"] == "fashion-mnist"


def test_arms_that_see_more_than_the_labelled_images_are_named() -> None:
    recipe = parse()
    assert list_shown(recipe.data, recipe.baselines) == ["simclr", "simclr-weak", "simclr-auto"]
    pool = load_recipe(RECIPES / "fashion-dpt.yaml")
    assert list_shown(pool.data, pool.baselines) == ["pseudo"]


def test_a_rehearsal_has_images_without_labels_too() -> None:
    changes = shrink(parse(), "small", Path("unused"))
    assert changes["data"] == {"unlabelled": "small-pool"}
    assert shrink(load_recipe(RECIPES / "fashion-flow.yaml"), "small", Path("unused"))["data"] == {}


def test_the_stages_that_grow_images_are_those_between_the_real_images_and_the_mixture() -> None:
    assert {name for name, stage in STAGES.items() if stage.grows} == {
        "scorer", "expansion_plan", "generator", "generator_onnx", "generated_images", "accepted_images",
        "mixed_dataset",
    }  # fmt: skip
