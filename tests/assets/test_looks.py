"""Descriptions of assets are true for the recipe's kinds."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from assets.looks import LOOKS, describe
from ops.recipe.loading import load_recipe
from ops.recipe.schema import Recipe
from ops.recipe.stages import STAGES
from tests.workspaces import RECIPE

ONNX = "generator: {kind: onnx, path: sampler.onnx, sha256: " + "a" * 64 + "}\n"


def make_recipe(folder: Path, *changes: tuple[str, str]) -> Recipe:
    """The tests' recipe with some texts replaced."""
    text, path = RECIPE, folder / "digits.yaml"
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)
    return load_recipe(path)


def test_every_stage_has_a_look_with_and_without_a_recipe(tmp_path: Path) -> None:
    recipe = make_recipe(tmp_path)
    assert set(LOOKS) == set(STAGES)
    for stage in STAGES:
        for look in (describe(stage, None), describe(stage, recipe)):
            assert look.description.endswith(".") and look.kinds


GENERATOR = next(line for line in RECIPE.splitlines(keepends=True) if line.startswith("generator:"))


POLICY = (("tuning: {}", "tuning: {policy: true}"), ("  oversampled:", "  tuned: {augmentation: auto}\n  oversampled:"))
FOLDS = (("verdict: {}", "verdict: {folds: 5}"), ("images_per_class: 16", ""))
LATENT = (("generator: {", "generator: {kind: latent, distillation: {}, "), ("steps: 1, solver: euler", "steps: 2"))
PRIOR = (
    ("prior: null\n", ""),
    (GENERATOR, "prior: {pool: others}\ngenerator: {kind: prior}\n"),
    ("solver: euler}", "solver: euler, strength: 0.4}"),
)
DDPM = (("generator: {", "generator: {kind: ddpm, "), ("solver: euler", "solver: ddim"))


@pytest.mark.parametrize(
    ("stage", "changes", "described"),
    [
        ("generator", (), "A rectified flow, trained on the real training images."),
        ("generator", [("generator: {", "generator: {seeds: 2, ")], "2 generators, each a rectified flow, trained"),
        ("generator", DDPM, "A diffusion model as in DDPM, trained"),
        ("generator", LATENT, "An autoencoder with a flow among its latents, trained on"),
        ("generator", LATENT, "A distilled student that needs fewer evaluations replaces it."),
        ("generator", [("retrain", "keep_generator")], "New images in the source do not train it anew."),
        ("training_policy", POLICY, "chosen on validation"),
        ("training_policy", (), "trained as the recipe says"),
        ("expansion_plan", [("ratio: 1.0", "ratio: 2.5")], "2.5 are added per real image"),
        ("mixed_dataset", [("real_weight: 4.0", "real_weight: 7.0")], "weighs 7 times"),
        ("accepted_images", [("atypical: null", "atypical: 0.01")], "wrong label, atypical, near copy"),
        ("folds", (), "Empty: the recipe asks for no folds"),
        ("folds", FOLDS, "each of 5 folds"),
        ("verdict", [("verdict: {}", "verdict: {confidence: 0.9}")], "90 % intervals"),
        ("baseline_classifiers", (), "Arms: real, oversampled."),
        ("teachers", (), "Empty: no arm of the recipe has a teacher."),
        ("prior", (), "Empty: the recipe has no prior."),
        ("prior", PRIOR, "A rectified flow, trained on all training images of the pool `others`, without"),
        ("generator", PRIOR, "The prior, which makes variants of the real training images; nothing is trained here."),
    ],
)
def test_the_description_follows_the_recipe(
    tmp_path: Path, stage: str, changes: Sequence[tuple[str, str]], described: str
) -> None:
    assert described in describe(stage, make_recipe(tmp_path, *changes)).description


def test_moves_are_found_and_not_trained(tmp_path: Path) -> None:
    sampler = ("sampler: {usable_from: null, steps: 1, solver: euler}", "sampler: {}")
    recipe = make_recipe(tmp_path, (GENERATOR, "generator: {kind: geometry}\n"), sampler)
    generator = describe("generator", recipe)
    assert "the widest moves that cannot be told" in generator.description and generator.kinds == {"json"}
    assert describe("generator_onnx", recipe) == LOOKS["generator_onnx"]


def test_a_sampler_from_elsewhere_is_not_said_to_be_trained(tmp_path: Path) -> None:
    sampler = ("sampler: {usable_from: null, steps: 1, solver: euler}", "sampler: {}")
    recipe = make_recipe(tmp_path, (GENERATOR, ONNX), sampler)
    generator = describe("generator", recipe)
    assert "nothing is trained here" in generator.description and generator.kinds == {"onnx"}
    assert "brought in" in describe("generator_onnx", recipe).description
