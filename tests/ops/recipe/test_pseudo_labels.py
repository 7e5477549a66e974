"""The key `pseudo_labels` of a generator: what it needs beside it, what it refuses, whose identity it is part of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ops.recipe.denoisers import DenoiserSettings
from ops.recipe.fingerprints import list_inputs, stage_settings
from ops.recipe.kinds import ONLY_PRIORS, PRIORS
from ops.recipe.loading import load_recipe, parse_recipe
from ops.recipe.pseudo_labels import PseudoLabelSettings
from ops.recipe.schema import Recipe
from ops.recipe.stages import STAGES
from ops.settings.reading import read_yaml
from tests.recipes import refused

SMOKE = Path(__file__).parents[3] / "recipes" / "smoke.yaml"
POOL: dict[str, Any] = {"kind": "flow", "pool": "others", "steps": 30}
FLOW: dict[str, Any] = {"kind": "flow", "pseudo_labels": {}}


def parse(**sections: Any) -> Recipe:
    return parse_recipe({**read_yaml(SMOKE), "prior": POOL, "generator": FLOW, **sections}, "mine.yaml")


@pytest.mark.parametrize("kind", ["flow", "edm", "ddpm", "latent"])
def test_every_kind_that_denoises_may_learn_from_a_labelled_pool(kind: str) -> None:
    recipe = parse(generator={"kind": kind, "pseudo_labels": {"per_class": 50}}, sampler={})
    assert isinstance(recipe.generator, DenoiserSettings) and recipe.generator.labels_pool
    assert recipe.generator.pseudo_labels == PseudoLabelSettings(per_class=50, noise=(0.1, 0.3, 0.5))
    assert parse_recipe(recipe.model_dump(mode="json"), "mine.yaml") == recipe


@pytest.mark.parametrize(
    ("sections", "sentence"),
    [
        ({"prior": None}, "pseudo_labels needs a prior, whose pool is labelled; add prior: {kind: flow, pool: NAME}"),
        ({"prior": {**POOL, "kind": "instance"}}, "pseudo_labels is not possible with a prior of kind: instance"),
        ({"generator": {"kind": "flow"}}, "prior has no effect with kind: flow"),
        ({"generator": {"kind": "flow", "pseudo_labels": None}}, "prior has no effect with kind: flow"),
        ({"prior": {**POOL, "pseudo_labels": {}}}, "pseudo_labels has no effect in a prior, which knows no classes"),
        ({"generator": {"kind": "prior", "pseudo_labels": {}}}, "unknown key 'generator.pseudo_labels'"),
        ({"generator": {"kind": "flow", "pseudo_labels": {"noise": [0.0]}}}, "generator.pseudo_labels.noise"),
        ({"generator": {"kind": "flow", "pseudo_labels": {"noise": []}}}, "generator.pseudo_labels.noise"),
        ({"generator": {"kind": "flow", "pseudo_labels": {"per_class": 0}}}, "generator.pseudo_labels.per_class"),
        (
            {"generator": {"kind": "flow", "pseudo_labels": {"perclass": 3}}},
            "unknown key 'generator.pseudo_labels.perclass'",
        ),
        ({"on_new_images": "keep_generator"}, "keep_generator has no effect with a prior"),
    ],
)
def test_what_does_not_belong_together_gives_one_sentence(sections: dict[str, Any], sentence: str) -> None:
    with refused(sentence):
        parse(**sections)


def test_a_kind_of_prior_without_features_says_so() -> None:
    assert [name for name, settings in PRIORS.items() if not settings.has_features] == list(ONLY_PRIORS)


def test_the_key_is_part_of_no_identity_where_it_is_absent() -> None:
    smoke, given = load_recipe(SMOKE), parse()
    for stage in STAGES:
        for section in stage_settings(smoke, stage).values():
            assert not isinstance(section, dict) or "pseudo_labels" not in section
    assert "pseudo_labels" not in stage_settings(given, "prior")["prior"]
    assert stage_settings(given, "generator")["generator"]["pseudo_labels"] == {
        "per_class": None, "noise": [0.1, 0.3, 0.5]
    }  # fmt: skip
    assert {name for name in STAGES if "prior" in list_inputs(given, name)} == {
        "generator", "folds", "verdict", "report"
    }  # fmt: skip
