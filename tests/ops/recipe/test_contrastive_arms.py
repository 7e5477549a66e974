"""Arms that learn without labels: what a recipe may say of them, and the sentence for what it may not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ops.errors import UserError
from ops.recipe.arms import Arm
from ops.recipe.costs import measure_cost
from ops.recipe.fingerprints import stage_settings
from ops.recipe.grid import GridSettings
from ops.recipe.loading import load_recipe, parse_recipe
from ops.recipe.rehearsal import BATCH, shrink
from ops.recipe.schema import Recipe
from ops.settings.reading import read_yaml

SMOKE = Path(__file__).parents[3] / "recipes" / "smoke.yaml"
KEYS = read_yaml(SMOKE)
SIMCLR: dict[str, Any] = {"trainer": "simclr"}


def parse(expanded: dict[str, Any] | None = None, **baselines: Any) -> Recipe:
    return parse_recipe(
        {**KEYS, "baselines": {"real": {}, **baselines}, "expanded": expanded or {"expanded": {}}}, "mine.yaml"
    )


@pytest.mark.parametrize(
    ("arm", "sentence"),
    [
        ({"pairing": "mixup"}, "pairing has no effect in the arm 'x': trainer: simclr learns from views of images"),
        ({"loss": "focal"}, "loss has no effect in the arm 'x': trainer: simclr learns from views"),
        ({"sampler": "class_balanced"}, "sampler has no effect in the arm 'x'"),
        ({"targets": {"kind": "teacher", "of": "real"}}, "targets has no effect in the arm 'x'"),
        ({"consistency": {"kind": "ema", "images": "real"}}, "consistency has no effect in the arm 'x'"),
        ({"variants": {"kind": "git", "by": ["randaugment"]}}, "variants has no effect in the arm 'x'"),
        ({"unlabelled": "fixmatch"}, "unlabelled has no effect in the arm 'x'"),
        ({"augmentation": "none"}, "trainer: simclr of the arm 'x' compares two views of an image"),
        ({"augmentation": "policy"}, "compares two views of an image, and with this augmentation both are the image"),
        (
            {"augmentation": {"kind": "views", "crop": 1, "jitter": 0, "grey": 0, "blur": 0, "flip": 0}},
            "compares two views of an image, and with this augmentation both are the image",
        ),
        ({"trainer": {"kind": "simclr", "batch_size": 1}}, "'baselines.x.trainer.batch_size'"),
        ({"trainer": {"kind": "simclr", "queue": 8}}, "queue has no effect with kind: simclr; it belongs to moco"),
        ({"trainer": {"kind": "moco", "temperature": 0}}, "greater than 0"),
        ({"strength": 1.2}, "less than or equal to 1"),
        ({"strength": -0.2}, "greater than or equal to 0"),
        ({"strength": 0.5, "augmentation": "flip_crop"}, "strength has no effect in the arm 'x', which says itself"),
        ({"strength": 0, "augmentation": "randaugment", "trainer": "supervised"}, "strength has no effect"),
        (
            {"strength": 0.5, "augmentation": {"kind": "views", "preset": "standard"}, "trainer": "byol"},
            "strength has no effect in the arm 'x', which says itself how images are augmented; remove it",
        ),
        ({"beta": 0.5}, "beta has no effect in the baseline 'x', which has no generated images"),
        (
            {"strength": 0.5, "loss": "ldam", "trainer": "supervised"},
            "loss: ldam needs hard labels, and strength 0.5 sets pairing: mixup, which blends them; add pairing:",
        ),
        (
            {"strength": 0.5, "loss": "ldam", "trainer": "supervised", "pairing": "cutmix"},
            "loss: ldam needs hard labels, and pairing: cutmix blends them; remove one",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_gives_one_sentence(arm: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        parse(x={**SIMCLR, **arm})
    assert sentence in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arm", "sentence"),
    [
        ({"beta": 0.5, "real_weight": 3.0}, "beta 0.5 and real_weight 3 both say how much real images weigh; remove"),
        ({"beta": 1.0}, "less than 1"),
        ({"beta": 0.5, "sampler": "class_balanced", "trainer": "supervised"}, "sampler: class_balanced changes it"),
        ({"beta": 0.0}, "greater than 0"),
        ({"finish": 0.2, **SIMCLR}, "finish has no effect in the arm 'y': trainer: simclr"),
        ({"separate": "norm", **SIMCLR}, "separate has no effect in the arm 'y': trainer: simclr"),
        (
            {"beta": 0.5, "consistency": "ema"},
            "beta has no effect in the arm 'y', whose generated images have no labels",
        ),
        (
            {"strength": 0.5, "augmentation": "flip_crop", "pairing": "none"},
            "strength has no effect in the arm 'y', which says itself",
        ),
    ],
)
def test_weights_that_cannot_be_give_one_sentence(arm: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError) as caught:
        parse({"y": arm}, x={"consistency": {"kind": "ema", "images": "real"}}, z=SIMCLR)
    assert sentence in str(caught.value) and "\n" not in str(caught.value)


def test_an_expanded_arm_needs_the_same_without_generated_images() -> None:
    weak = {**SIMCLR, "strength": 0.5, "beta": 0.4}
    with pytest.raises(UserError, match=r"baselines needs the same on real images, .*: y-real: \{augmentation: .*"):
        parse({"y": weak}, x=SIMCLR)
    assert parse({"y": weak}, x={**SIMCLR, "strength": 0.5}).expanded["y"].beta == 0.4


def test_only_identities_of_recipes_with_such_arms_change() -> None:
    for stage in ("baseline_classifiers", "expanded_classifiers"):
        kept = str(stage_settings(load_recipe(SMOKE), stage))
        assert not any(word in kept for word in ("beta", "strength", "views", "simclr"))
    recipe = parse({"y": {**SIMCLR, "beta": 0.4}}, x=SIMCLR)
    assert parse_recipe(recipe.model_dump(mode="json"), "mine.yaml") == recipe


def test_a_step_costs_two_views_of_its_own_batch() -> None:
    def cost(**trainer: Any) -> float:
        return measure_cost(Arm.model_validate({"trainer": trainer}), 5, 64)

    assert cost(kind="simclr", batch_size=64) == 2 and cost(kind="simclr", batch_size=256) == 8
    assert cost(kind="barlow_twins", batch_size=64) == 2
    assert cost(kind="moco", batch_size=64) == cost(kind="byol", batch_size=64) == pytest.approx(8 / 3)


def test_the_grid_tries_their_numbers_and_no_weight_beside_beta() -> None:
    grid = GridSettings.model_validate(
        {"learning_rate": [0.02], "real_weight": [1.0, 10.0], "trainer.temperature": [0.2, 0.5]}
    )
    arms = {"n": SIMCLR, "beta": {**SIMCLR, "beta": 0.4}, "byol": {"trainer": "byol"}}
    count = {name: len(grid.list_settings(Arm.model_validate(keys), is_expanded=True)) for name, keys in arms.items()}
    assert count == {"n": 4, "beta": 2, "byol": 2}


def test_a_rehearsal_has_small_batches() -> None:
    changes = shrink(parse(x=SIMCLR, y={"trainer": {"kind": "byol", "batch_size": 8}}), "mine", SMOKE.parent)
    assert changes["baselines.x.trainer.batch_size"] == BATCH and changes["baselines.y.trainer.batch_size"] == 8
