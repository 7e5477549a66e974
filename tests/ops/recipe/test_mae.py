"""The keys of a prior of kind `mae`: defaults, what its sampler takes, and values refused in one sentence."""

from __future__ import annotations

from typing import Any

import pytest

from ops.errors import UserError
from ops.generators.mae.sizes import check_shape, describe_network, find_latent_shape, find_patch
from ops.recipe.mae import MaeSettings
from ops.recipe.schema import Recipe
from tests.recipes import parse_prior, refused

WEIGHTS = {"model": "models/mae", "licence": "as is"}


def parse(prior: dict[str, Any], sampler: dict[str, Any] | None = None) -> Recipe:
    return parse_prior({"kind": "mae", **prior}, sampler)


def test_a_prior_that_names_its_pool_has_defaults_for_all_else() -> None:
    recipe = parse({})
    assert isinstance(recipe.prior, MaeSettings) and recipe.prior.steps == 1000
    changed = parse({"decoder": {"layers": 3}, "mask": [0.75, 0.75]}).prior
    assert isinstance(changed, MaeSettings) and (changed.decoder.layers, changed.decoder.width) == (3, 96)
    assert changed.mask == (0.75, 0.75) and changed.encoder == MaeSettings().encoder
    assert recipe.generator.list_inputs(recipe.sampler) == ("noise", "image")


def test_weights_from_elsewhere_are_not_trained() -> None:
    prior = parse({"weights": WEIGHTS, "hidden": [0, 0]}).prior
    assert isinstance(prior, MaeSettings) and prior.steps == 0 and prior.weights is not None
    assert parse({"weights": WEIGHTS, "steps": 0}).prior == parse({"weights": WEIGHTS}).prior


def test_it_can_imagine() -> None:
    assert parse({}, {"strength": 0.4, "imagination": {"mode": "random"}}).sampler.imagination is not None


@pytest.mark.parametrize(
    ("prior", "sampler", "sentence"),
    [
        ({"patch": 1}, None, "prior.patch"),
        ({"encoder": {"width": 30}}, None, "prior.encoder.width"),
        ({"encoder": {"width": 32, "heads": 5}}, None, "heads 5 must divide the width 32"),
        ({"mask": [0.5, 1.0]}, None, "prior.mask"),
        ({"mask": [0.5, 0.25]}, None, "the least share, 0.5, is above the most, 0.25"),
        ({"hidden": [0.5, 0.25]}, None, "the least share, 0.5, is above the most, 0.25"),
        ({"steps": 0}, None, "steps must be 1 or more without weights"),
        ({"weights": WEIGHTS, "steps": 5}, None, "steps must be 0 with weights"),
        ({"weights": WEIGHTS, "normalise": True}, None, "normalise has no effect with weights"),
        ({"weights": WEIGHTS, "encoder": {"layers": 2}}, None, "encoder has no effect with weights"),
        ({"weights": WEIGHTS, "seed": 3}, None, "seed has no effect with weights"),
        ({"weights": WEIGHTS, "checkpoints": 2}, None, "checkpoints has no effect with weights"),
        ({"weights": {"model": "models/mae"}}, None, "licence"),
        ({"max_copies": 0.5}, None, "max_copies has no effect in a prior, which knows no classes"),
        ({"widths": [8, 16]}, None, "unknown key 'prior.widths'"),
        ({}, {"strength": 0.4, "steps": 3}, "steps has no effect with kind: mae"),
        ({}, {"strength": 0.4, "solver": "heun"}, "solver has no effect with kind: mae"),
        ({}, {"strength": 0.4, "precision": "int8"}, "precision must be fp32 with kind: mae; got 'int8'"),
        ({}, {"strength": 0.4, "guidance": 2.0}, "guidance is not possible with kind: prior"),
        ({"hidden": [0, 0]}, {"strength": 0.0}, "makes all variants of an image equal"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(
    prior: dict[str, Any], sampler: dict[str, Any] | None, sentence: str
) -> None:
    with refused(sentence):
        parse(prior, sampler)


@pytest.mark.parametrize(("side", "patch"), [(8, 2), (16, 2), (28, 4), (32, 4), (48, 8), (64, 8), (128, 16)])
def test_a_patch_is_so_large_that_a_side_has_at_most_eight(side: int, patch: int) -> None:
    assert find_patch(MaeSettings(), (1, side, side)) == patch and side / patch <= 8


def test_sides_that_are_no_multiple_of_the_patch_are_padded_and_small_images_refused() -> None:
    network = describe_network(MaeSettings(patch=5, normalise=True), (3, 11, 28))
    assert network["image_size"] == [15, 30] and find_latent_shape(network) == (1 + 3 * 6, 96 + 2)
    with pytest.raises(UserError, match="needs images of at least 8 pixels a side; these have 7"):
        check_shape(MaeSettings(), (1, 7, 30))
    with pytest.raises(UserError, match="prior.patch 10 leaves one patch in a side of 10 pixels; at most 9"):
        check_shape(MaeSettings(patch=10), (1, 10, 30))
    check_shape(MaeSettings(patch=9), (1, 10, 30))
