"""Which images are learnt worst: the losses by hand, ranks within classes, ties, and who is read as a seed image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from ops.datasets.index import write_index
from ops.files.outputs import SEEDS
from ops.planning.hard_seeds import rank_seeds, read_chosen
from ops.planning.plan import ExpansionPlan, count_hard, plan_expansion
from ops.planning.variants import _count_variants
from ops.recipe.arms import Arm
from ops.recipe.ingredients.variants import GitVariants
from ops.recipe.sections import PlanSettings

NAMES = ("a", "b")


def rank(own: list[float], labels: list[int]) -> pl.DataFrame:
    """Of images i0, i1, ... with these probabilities of their own class."""
    return rank_seeds(spread(own, labels), np.array(labels), [f"i{i}" for i in range(len(own))], NAMES)


def spread(own: list[float], labels: list[int]) -> np.ndarray:
    """Logits [n, 2] of both classes."""
    first = np.where(np.array(labels) == 0, own, 1 - np.array(own))
    return np.log(np.stack([first, 1 - first], axis=1)) + 3.0


def test_the_worst_third_of_each_class_is_chosen() -> None:
    table = rank([0.9, 0.2, 0.6, 0.99, 0.8, 0.7, 1e-9], [0, 0, 0, 1, 1, 1, 1])
    assert table["rank"].to_list() == [3, 1, 2, 4, 3, 2, 1]
    assert table.filter("chosen")["image_id"].to_list() == ["i1", "i5", "i6"]
    np.testing.assert_allclose(table["loss"][:3], -np.log([0.9, 0.2, 0.6]), atol=1e-6)
    np.testing.assert_allclose(table["odds"][:3], np.log([1 / 9, 4, 2 / 3]), atol=1e-6)
    assert table["named"].to_list() == ["a", "b", "a", "b", "b", "b", "a"]


def test_images_that_the_scorer_is_sure_of_are_ranked_too() -> None:
    """Their probability is rounded to 1, and their loss to 0."""
    logits = np.array([[90.0, 0.0], [60.0, 0.0], [80.0, 0.0], [70.0, 0.0]])
    table = rank_seeds(logits, np.zeros(4, np.int64), ["a", "b", "c", "d"], NAMES)
    assert table["rank"].to_list() == [4, 1, 3, 2] and table["loss"].sum() == 0
    three = rank_seeds(np.array([[2.0, 1.0, 0.0]]), np.array([1]), ["a"], ("a", "b", "c"))
    p = np.exp(1) / np.exp([2, 1, 0]).sum()
    np.testing.assert_allclose([three["odds"][0], three["loss"][0]], [np.log((1 - p) / p), -np.log(p)], atol=1e-6)
    alone = rank_seeds(np.array([[2.0], [1.0]]), np.zeros(2, np.int64), ["b", "a"], ("x",))
    assert alone["rank"].to_list() == [2, 1] and alone["loss"].to_list() == [0.0, 0.0]  # of one class, by id


def test_equal_losses_are_ranked_by_id_and_one_image_is_its_class() -> None:
    table = rank([0.5, 0.5, 0.5, 0.9], [0, 0, 0, 1])
    assert table["rank"].to_list() == [1, 2, 3, 1] and table["chosen"].to_list() == [True, False, False, True]


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(1, 99)), min_size=1, max_size=40))
def test_the_order_of_the_images_does_not_matter(images: list[tuple[int, int]]) -> None:
    labels, own = [label for label, _ in images], [percent / 100 for _, percent in images]
    table = rank(own, labels)
    order = np.random.default_rng(len(images)).permutation(len(images))
    ids = [f"i{i}" for i in order]
    turned = rank_seeds(spread(own, labels)[order], np.array(labels)[order], ids, NAMES)
    assert table.sort("image_id").equals(turned.sort("image_id"))
    sizes = np.bincount(labels, minlength=2)
    assert table.filter("chosen").height == count_hard(sizes).sum()


def test_a_plan_counts_them_and_wants_as_many_images() -> None:
    sizes, names = np.array([10, 3, 1]), ("a", "b", "c")
    all_ = plan_expansion(sizes, names, PlanSettings(ratio=2.0))
    hard = plan_expansion(sizes, names, PlanSettings(ratio=2.0, seeds="hard"))
    assert [hard.count_seeds(entry) for entry in hard.classes] == [4, 1, 1] and hard.seed_images == 6
    assert all_.seed_images == 14 and hard.classes == all_.classes
    assert "seeds" not in all_.to_dict() and ExpansionPlan.from_dict(hard.to_dict()) == hard


def test_arms_with_stored_variants_are_foreseen_with_as_many_seed_images() -> None:
    plan = plan_expansion(np.array([4, 1]), NAMES, PlanSettings(ratio=2.0, seeds="hard"))
    arm, labels = Arm(variants=GitVariants(by=("generator",))), [0, 0, 0, 1, 0]
    assert _count_variants(arm, plan, labels).tolist() == [4, 4, 0, 2, 0]
    everything = plan_expansion(np.array([4, 1]), NAMES, PlanSettings(ratio=2.0))
    assert _count_variants(arm, everything, labels).tolist() == [2, 2, 2, 2, 2]


def test_the_chosen_are_read_from_the_plan(tmp_path: Path) -> None:
    assert read_chosen(tmp_path) is None
    write_index(tmp_path / SEEDS, rank([0.9, 0.2, 0.6], [0, 0, 0]))
    assert read_chosen(tmp_path) == {"i1": 1}
