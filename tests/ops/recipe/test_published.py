"""The shipped recipes of a paper's long tails: its class sizes to the image, its thresholds, and nothing mirrored that
would be another class."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ops.datasets.longtail import choose_long_tail
from ops.datasets.splits import count_targets
from ops.datasets.subset import find_sizes
from ops.recipe.arms import Arm
from ops.recipe.changes import change_recipe
from ops.recipe.geometry import GeometrySettings
from ops.recipe.ingredients.variants import GitVariants, find_chances
from ops.recipe.loading import load_recipe
from ops.recipe.munit import MunitSettings
from ops.recipe.rehearsal import shrink
from ops.recipe.schema import Recipe
from ops.sources.spec import load_source_spec
from tests.published import RECIPES
from tests.workspaces import ROOT

GTSRB = [
    210, 2220, 2250, 1410, 1980, 1860, 420, 1440, 1410, 1470, 2010, 1320, 2100, 2160, 780, 630, 420, 1110, 1200, 210,
    360, 330, 390, 510, 270, 1500, 600, 240, 540, 270, 450, 780, 240, 689, 420, 1200, 390, 210, 2070, 300, 360, 240,
    240,
]  # fmt: skip
PUBLISHED = {  # training images of each class; of Kuzushiji-49 the largest ones stand for all
    "k49": [6000] * 49,
    "gtsrb": GTSRB,
    "cifar10": [5000] * 10,
    "cifar100": [500] * 100,
    "tiny-imagenet": [500] * 200,
}
K49 = [4828, 1207, 536, 301, 193, 134, 98, 75, 59, 48, 39, 33, 28, 24, 21, 18, 16, 14, 13, 12, 10, 9, 9, 8, 7, 7, 6, 6]
HEADS = {  # the class sizes by rank that are known, first ones first
    "k49": [*K49, *[5] * 21],
    "gtsrb": [1500, 430, 207, 123, 82, 59, 45, 35, 28, 23, 20, 17, 14, 12, 11, 10, 9, 8, 7, 6, 6, *[5] * 22],
    "cifar10": [5000, 2997, 1796, 1077, 645, 387, 232, 139, 83, 50],
    "cifar100": [500, 477, 455],
    "tiny-imagenet": [500],
}
TOTALS = {"k49": 7_864, "gtsrb": 2_762, "cifar10": 12_406, "cifar100": 10_847, "tiny-imagenet": 21_549}
BELOW = {"k49": None, "gtsrb": 25, "cifar10": 500, "cifar100": 100, "tiny-imagenet": 100}  # K
UNMIRRORED = ("k49", "gtsrb")
BASELINES = {"real", "drs", "ldam+drs", "adjusted", "randaugment"}


def load(name: str) -> Recipe:
    return load_recipe(ROOT / "recipes" / f"{name}.yaml")


def compute_sizes(recipe: Recipe) -> np.ndarray:
    counts, tail = PUBLISHED[recipe.source], recipe.data.long_tail
    assert tail is not None
    return find_sizes(tail, np.repeat(np.arange(len(counts)), counts), len(counts), recipe.seed)


@pytest.mark.parametrize("name", RECIPES)
def test_class_sizes_are_those_of_the_paper_and_of_the_recipe_s_comment(name: str) -> None:
    recipe = load(name)
    assert recipe.source == RECIPES[name]
    sizes, known = compute_sizes(recipe), HEADS[recipe.source]
    assert sizes[: len(known)].tolist() == known
    assert (sizes.sum(), sizes.min()) == (TOTALS[recipe.source], known[-1] if len(known) == len(sizes) else 5)
    comment = (ROOT / "recipes" / f"{name}.yaml").read_text(encoding="utf-8").partition("\nsource:")[0]
    assert f"{TOTALS[recipe.source]:,} training images in {len(sizes)} classes" in " ".join(comment.split("\n# "))


@pytest.mark.parametrize("name", [name for name, source in RECIPES.items() if source != "k49"])
def test_the_published_classes_are_large_enough_once_validation_is_drawn(name: str) -> None:
    """Where a nuisance follows, as for Kuzushiji-49, images may be used several times; elsewhere they must suffice."""
    recipe = load(name)
    rule = load_source_spec(ROOT / "sources" / f"{recipe.source}.yaml").split
    assert rule is not None and rule.validation is not None and recipe.data.long_tail is not None
    counts = np.array(PUBLISHED[recipe.source])
    assert recipe.source != "gtsrb" or counts.sum() == 39_209
    if rule.validation_from == "train":
        counts = count_targets(counts, validation=rule.validation, test=0.0)[0]
    labels = np.repeat(np.arange(len(counts)), counts)
    sizes = compute_sizes(recipe)
    rows, _ = choose_long_tail(
        labels,
        [str(row) for row in range(len(labels))],
        sizes,
        class_order=recipe.data.long_tail.order,
        seed=recipe.seed,
        allow_repeats=recipe.data.nuisance is not None,
    )
    assert sorted(np.bincount(labels[rows]), reverse=True) == sizes.tolist()


@pytest.mark.parametrize("name", RECIPES)
def test_the_arms_are_those_that_the_paper_compares(name: str) -> None:
    recipe = load(name)
    assert BASELINES <= set(recipe.baselines) <= BASELINES | {"erm"}
    assert set(recipe.expanded) == {"git", "placebo"}
    git, drs = recipe.expanded["git"], recipe.baselines["drs"]
    assert git.model_copy(update={"variants": Arm().variants}) == drs, "GIT on top of deferred resampling, no more"
    assert recipe.expanded["placebo"] == git.model_copy(update={"placebo": recipe.expanded["placebo"].placebo})
    assert isinstance(git.variants, GitVariants) and git.variants.below == BELOW[recipe.source]
    assert recipe.baselines["ldam+drs"].sampler == recipe.baselines["randaugment"].sampler == drs.sampler
    assert recipe.verdict.metric == "balanced_accuracy" and recipe.classifier.seeds >= 5
    steps = recipe.classifier.steps
    epoch = -(-TOTALS[recipe.source] // recipe.classifier.batch_size)
    assert steps == epoch * (50 if recipe.source == "k49" else 200)
    first = 30 if recipe.source == "k49" else 160
    assert drs.sampler.first_step(steps) == epoch * first  # type: ignore[attr-defined]
    assert git.variants.first_step(steps) == epoch * (first + 1), "an epoch after the resampling, as in its code"


@pytest.mark.parametrize("name", ["cifar10-lt", "cifar100-lt"])
def test_a_ramp_shows_the_published_share_of_variants(name: str) -> None:
    recipe = load(name)
    variants = recipe.expanded["git"].variants
    assert isinstance(variants, GitVariants) and variants.policy == "ramp"
    share = variants.share * find_chances(compute_sizes(recipe), variants).mean()
    assert share == pytest.approx({"cifar10-lt": 0.179, "cifar100-lt": 0.236}[name], abs=5e-4)


@pytest.mark.parametrize("name", [name for name, source in RECIPES.items() if source in UNMIRRORED])
def test_nothing_is_mirrored_where_mirror_images_are_other_classes(name: str) -> None:
    recipe = load(name)
    arms = {**recipe.baselines, **recipe.expanded}
    for augmentation in [*(arm.augmentation for arm in arms.values()), recipe.scorer.augmentation]:
        assert augmentation.kind != "flip_crop" and getattr(augmentation, "flip", 0.0) == 0
    generator = recipe.generator
    assert isinstance(generator, MunitSettings | GeometrySettings)
    assert not (generator.flip if isinstance(generator, MunitSettings) else generator.mirror)


def test_only_rotations_need_a_generator_that_turns_images() -> None:
    kinds = {name: load(name).generator.kind for name in RECIPES}
    assert {name for name, kind in kinds.items() if kind == "geometry"} == {"k49-rot-lt"}
    assert {kind for name, kind in kinds.items() if name != "k49-rot-lt"} == {"munit"}
    nuisances = [load(f"k49-{short}-lt").data.nuisance for short in ("rot", "bg", "dil")]
    assert nuisances == ["rotation", "background", "strokes"]


@pytest.mark.parametrize("name", RECIPES)
def test_a_rehearsal_of_each_is_a_valid_recipe(name: str) -> None:
    path = ROOT / "recipes" / f"{name}.yaml"
    changed, _ = change_recipe(path, shrink(load(name), "small", Path()))
    assert changed.verdict.rehearsal and changed.expanded["git"].variants.kind == "git"
