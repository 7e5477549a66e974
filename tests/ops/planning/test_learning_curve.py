"""The steps that a learning curve proposes: which arm it trains, when it is not needed, and what it says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ops.classifiers.kept_trainings import KeptTrainings
from ops.planning.learning_curve import (
    Images,
    choose_arm,
    describe_length,
    explain_own_choice,
    list_most_lengths,
    propose_steps,
    trace_lengths,
)
from ops.recipe.loading import load_recipe
from ops.recipe.schema import Recipe
from ops.tuning.lengths import Length

DEMO = load_recipe(Path(__file__).parents[3] / "recipes" / "fashion-flow.yaml").model_dump(mode="json")
FLIP = {"augmentation": "flip_crop"}
TAUGHT = {"targets": {"kind": "teacher", "of": "real", "images": "real"}}


def make_recipe(**changes: Any) -> Recipe:
    return Recipe.model_validate(DEMO | changes)


@pytest.mark.parametrize(
    ("baselines", "chosen"),
    [
        ({"real": {}, "flipped": FLIP, "mixup": {**FLIP, "pairing": "mixup"}}, "mixup"),
        ({"real": {}, "mixup": {**FLIP, **TAUGHT}, "turned": {"augmentation": "randaugment"}}, "turned"),
        ({"real": {}, "refitted": {**FLIP, "trainer": "refitted"}, "focal": {"loss": "focal"}}, "real"),
    ],
)
def test_the_arm_is_mixup_or_the_first_cheap_one_with_an_augmentation(baselines: Any, chosen: str) -> None:
    assert choose_arm(make_recipe(baselines=baselines)) == chosen


def test_a_recipe_that_chooses_its_steps_needs_no_curve() -> None:
    assert explain_own_choice(make_recipe()) is None
    arms = {"baselines": {"real": {}, "mixup": {"augmentation": "auto"}}}
    chosen = make_recipe(**arms, tuning={"policy": True, "most_steps": 1600})
    assert explain_own_choice(chosen) == (
        "no learning curve: the chain chooses the steps itself, from classifier.steps 800 up to tuning.most_steps 1,600"
    )
    assert explain_own_choice(make_recipe(**arms, tuning={"policy": True})) is None
    grid = DEMO["classifier"] | {"grid": {"steps": [400, 800]}}
    assert "classifier.grid.steps tries several" in str(explain_own_choice(make_recipe(classifier=grid)))


def test_lengths_reach_from_a_quarter_to_four_times_the_steps() -> None:
    assert list_most_lengths(800) == [200, 400, 800, 1600, 3200]
    assert [list_most_lengths(steps) for steps in (402, 1)] == [[100, 200, 400, 800, 1600], [1, 2, 4]]


LENGTHS = [Length(400, 0.88), Length(800, 0.89, 0.01, 0.005), Length(1600, 0.902, 0.012, 0.005)]


def test_a_proposal_says_what_the_steps_gain_and_what_more_of_them_would() -> None:
    worse = [*LENGTHS, Length(3200, 0.901, -0.001, 0.004)]
    assert propose_steps(worse, 800) == (
        "classifier.steps: 1600 (validation: from 800 to 1,600 gains 1.2 points, standard error 0.5;"
        " from 1,600 to 3,200 loses 0.1 points, standard error 0.4)"
    )
    assert propose_steps(worse, 1600).startswith("classifier.steps: 1600, as in the recipe (validation:")
    assert propose_steps(LENGTHS, 400).startswith(
        "classifier.steps: 1600, or more (validation: from 800 to 1,600 gains"
    )
    flat = [Length(100, 0.9), Length(200, 0.9, 0.0, 0.003)]
    assert propose_steps(flat, 400) == (
        "classifier.steps: 100 (validation: from 100 to 200 gains 0.0 points, standard error 0.3)"
    )
    assert describe_length(worse[-1]) == "3,200 steps: 90.1 %, -0.1 points (standard error 0.4)"


def test_images_of_one_group_are_one_draw(tmp_path: Path) -> None:
    """Copies that are told as groups add nothing to what validation knows; untold they halve the error."""
    rng = np.random.default_rng(0)
    labels = np.arange(40) % 2
    shades = np.where(labels, 150, 100)[:, None, None, None] + rng.integers(-80, 80, (40, 1, 8, 8))
    pixels = np.clip(shades, 0, 255).astype(np.uint8)
    train, once = (pixels[:20], labels[:20]), (pixels[20:], labels[20:])
    often = tuple(np.tile(part, (4, *[1] * (part.ndim - 1))) for part in once)
    network = {"kind": "small_resnet", "width": 8}
    recipe = make_recipe(
        classifier={"steps": 32, "batch_size": 8, "seeds": 2, "network": network},
        baselines={"real": {}, "mixup": {"pairing": "mixup"}},
    )

    def trace(validation: Any, units: np.ndarray | None) -> list[Length]:
        kept = KeptTrainings(tmp_path / "kept", "1")
        images = Images(train, validation, 2, units)
        return list(trace_lengths(recipe, "mixup", images, kept, workers=1, sink=lambda line: None))

    alone, copied, grouped = trace(once, None), trace(often, None), trace(often, np.tile(np.arange(20), 4))
    assert grouped == [pytest.approx(length) for length in alone]
    assert copied[1].error is not None and alone[1].error is not None and copied[1].error < 0.6 * alone[1].error
