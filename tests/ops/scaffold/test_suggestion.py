"""Suggested recipes: valid for any source, scaled to its size, with the template's comments."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from ops.generators.registry import KINDS
from ops.recipe.arms import SmallResNet
from ops.recipe.loading import parse_recipe
from ops.scaffold.suggestion import adapt_recipe, suggest_settings, suggest_unlabelled

ROOT = Path(__file__).parents[3]
DEMO, WITHOUT_LABELS = (
    (ROOT / "recipes" / f"{name}.yaml").read_text(encoding="utf-8") for name in ("fashion-flow", "fashion-adainf")
)


@settings(max_examples=40, deadline=None)
@given(
    counts=st.lists(st.integers(1, 20_000), min_size=2, max_size=200),
    side=st.integers(8, 128),
    channels=st.sampled_from([1, 3]),
)
def test_any_source_gets_a_valid_recipe(counts: list[int], side: int, channels: int) -> None:
    changes = suggest_settings(np.array(counts), (side, side, channels))
    text = adapt_recipe(DEMO, {"source": "mine", **changes}, "Mine.")
    recipe = parse_recipe(YAML(typ="safe").load(text), Path("mine.yaml"))
    assert recipe.source == "mine"
    assert recipe.plan.ratio == changes["plan.ratio"]
    assert list(recipe.generator.model_dump()["widths"]) == changes["generator.widths"]
    assert 2 <= recipe.scorer.folds <= 3


@pytest.mark.parametrize(("side", "channels", "others"), [(16, 1, 40), (28, 1, 900), (32, 3, 20_000), (96, 3, 5_000)])
def test_images_without_labels_get_a_valid_recipe_for_all_of_them(side: int, channels: int, others: int) -> None:
    changes = suggest_unlabelled(np.full(5, 12), (side, side, channels), "more", others)
    text = adapt_recipe(WITHOUT_LABELS, {"source": "mine", **changes}, "Mine.")
    recipe = parse_recipe(YAML(typ="safe").load(text), Path("mine.yaml"))
    whole = suggest_settings(np.array([60 + others]), (side, side, channels))
    assert (recipe.data.unlabelled, recipe.data.images_per_class) == ("more", None)
    assert recipe.tuning.policy and recipe.baselines["mixup"].augmentation.kind == "auto"
    assert recipe.plan.ratio == whole["plan.ratio"] and recipe.classifier.steps == whole["classifier.steps"]
    assert recipe.generator.kind == ("latent" if side > 32 else "flow")
    assert recipe.classifier.network == SmallResNet(stride=4 if side == 96 else 2)


def test_the_measured_source_gets_the_measured_settings() -> None:
    recipe, changes = YAML(typ="safe").load(DEMO), suggest_settings(np.full(10, 100), (28, 28, 1))
    for key, value in changes.items():
        section, _, name = key.partition(".")
        if section in ("plan", "generator", "report") or key == "scorer.steps":
            assert recipe[section][name] == value, key
    assert recipe["classifier"]["steps"] in (changes["classifier.steps"] * 2**power for power in range(3))


def test_arms_and_scorer_get_the_augmentation_that_validation_chooses() -> None:
    text = adapt_recipe(DEMO, {"source": "mine", **suggest_settings(np.full(10, 20), (32, 32, 3))}, "Mine.")
    recipe = parse_recipe(YAML(typ="safe").load(text), Path("mine.yaml"))
    arms = {**recipe.baselines, **recipe.expanded}
    plain = [name for name, arm in arms.items() if arm.augmentation.kind != "auto"]
    assert plain == ["real", "randaugment", "expanded", "expanded+randaugment"]  # the same on both sides
    assert recipe.scorer.augmentation.kind == "auto"
    assert recipe.tuning.policy
    assert recipe.tuning.steps <= recipe.classifier.steps
    assert recipe.tuning.most_steps is not None and 2 * recipe.classifier.steps <= recipe.tuning.most_steps


def test_settings_follow_the_source() -> None:
    small = suggest_settings(np.full(4, 25), (28, 28, 1))
    large = suggest_settings(np.full(10, 5000), (28, 28, 1))
    assert small["generator.steps"] < large["generator.steps"]
    assert small["classifier.steps"] < large["classifier.steps"]
    assert large["tuning.most_steps"] is None
    assert (small["plan.ratio"], large["plan.ratio"]) == (10.0, 1.0)
    assert suggest_settings(np.array([300, 100]), (28, 28, 1))["plan.balance"] == "equalise"
    assert suggest_settings(np.array([299, 100]), (28, 28, 1))["plan.balance"] == "keep"
    assert suggest_settings(np.array([50, 1]), (28, 28, 1))["scorer.folds"] == 2


@pytest.mark.parametrize(("shape", "stride"), [((64, 64, 3), 2), ((200, 64, 3), 2), ((96, 128, 3), 4)])
def test_large_images_get_a_stem_that_quarters_them(shape: tuple[int, int, int], stride: int) -> None:
    changes = suggest_settings(np.full(3, 40), shape)
    recipe = parse_recipe(YAML(typ="safe").load(adapt_recipe(DEMO, {"source": "mine", **changes}, "Mine.")), Path("m"))
    assert recipe.classifier.network == SmallResNet(stride=stride)


@pytest.mark.parametrize(
    ("height", "width", "kind"),
    [(32, 32, "flow"), (16, 40, "latent"), (96, 64, "latent"), (8, 33, "latent"), (7, 64, "flow")],
)
def test_images_above_32_pixels_are_learnt_as_latents_unless_they_are_strips(
    height: int, width: int, kind: str
) -> None:
    text = adapt_recipe(DEMO, {"source": "mine", **suggest_settings(np.full(4, 60), (height, width, 3))}, "Mine.")
    recipe = parse_recipe(YAML(typ="safe").load(text), Path("mine.yaml"))
    assert recipe.generator.kind == kind
    KINDS[kind].check(recipe.generator, Path(), ["a"], (3, height, width))


def test_nothing_is_written_as_null() -> None:
    text = adapt_recipe(DEMO, {"generator.steps": 50}, "One.")
    assert YAML(typ="safe").load(text)["data"] == YAML(typ="safe").load(DEMO)["data"]
    assert "  long_tail: null " in text
    assert not [line for line in text.splitlines() if line.partition("#")[0].rstrip().endswith("long_tail:")]


def test_comments_stay_and_the_header_is_new() -> None:
    text = adapt_recipe(DEMO, {"generator.steps": 50, "generator.widths": [8, 16]}, "One.\nTwo.")
    assert text.startswith("# One.\n# Two.\n\nsource:")
    assert "The demo" not in text
    assert "  unshuffle: 2                   # work at 1/2 of the resolution (1, 2 or 4)" in text
    lines = {line.split(":")[0].strip(): line for line in text.splitlines() if line.startswith("  ")}
    assert "[8, 16]" in lines["widths"] and "# channels per resolution level" in lines["widths"]
    without = [line for line in DEMO.splitlines() if "#" in line][3:]
    kept = [line.partition("#")[2] for line in text.splitlines()]
    assert not [line for line in without if line.partition("#")[2] not in kept]


@pytest.mark.parametrize("key", ["generator.step", "mix.weight", "nothing"])
def test_an_unknown_key_is_refused(key: str) -> None:
    with pytest.raises(KeyError):
        adapt_recipe(DEMO, {key: 1}, "")


def test_few_images_a_class_are_augmented_for_the_generator() -> None:
    few, many = (suggest_settings(np.full(10, count), (32, 32, 3)) for count in (20, 100))
    assert (few["generator.augment"], few["generator.augmentation"]) == (0.5, "auto")
    assert (many["generator.augment"], many["generator.augmentation"]) == (0.0, "moves")
