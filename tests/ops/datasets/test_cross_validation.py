"""Folds of all images: every image is tested once, classes are shared out evenly, groups and copies stay together."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from ops.datasets.cross_validation import Pool, divide, join_images, pool_splits
from ops.datasets.splits import TEST, TRAIN, VALIDATION, assign_test_folds
from ops.errors import UserError


def make_pool(counts: list[int], *, groups: list[str] | None = None, validation: float = 0.2) -> Pool:
    labels = np.repeat(np.arange(len(counts)), counts)
    return Pool(labels, [f"{i:016x}" for i in range(len(labels))], groups, list("abc")[: len(counts)], validation)


@pytest.mark.parametrize("folds", [3, 5, 10])
def test_every_image_is_tested_once_and_classes_are_shared_out_evenly(folds: int) -> None:
    pool = make_pool([53, 31, 17])
    codes = np.stack(divide(pool, folds))
    assert ((codes == TEST).sum(axis=0) == 1).all()
    for label, count in enumerate((53, 31, 17)):
        tested = (codes[:, pool.labels == label] == TEST).sum(axis=1)
        assert set(tested.tolist()) <= {count // folds, -(-count // folds)}
        for split in (TRAIN, VALIDATION):
            assert ((codes[:, pool.labels == label] == split).sum(axis=1) > 0).all()
    sizes = (codes == TEST).sum(axis=1)
    assert sizes.max() - sizes.min() <= 1
    shares = (codes == VALIDATION).mean(axis=1)
    assert abs(shares - 0.2).max() < 0.03
    assert len({row.tobytes() for row in codes == VALIDATION}) == folds  # no fold chooses on another's images


@pytest.mark.parametrize("counts", [(1, 1, 1), (7, 3, 90), (64, 32, 232), (100_003, 10_007, 33)])
def test_a_pool_counts_the_validation_images_that_it_was_made_of(counts: tuple[int, int, int]) -> None:
    splits = {
        name: pl.DataFrame(
            {"image_id": [f"{name}{i // 2}-{i % 2}" for i in range(count)], "label": 0, "parent_id": None},
            schema={"image_id": pl.String, "label": pl.Int64, "parent_id": pl.String},
        )
        for name, count in zip(("train", "validation", "test"), counts, strict=True)
    }
    assert pool_splits(splits, {}, ("a",)).held == counts[1]


def test_folds_depend_on_the_images_and_their_number_alone() -> None:
    pool = make_pool([20, 20])
    order = np.random.default_rng(0).permutation(40)
    turned = Pool(pool.labels[order], [pool.keys[i] for i in order], None, pool.class_names, pool.validation)
    for one, other in zip(divide(pool, 4), divide(turned, 4), strict=True):
        assert one[order].tolist() == other.tolist()


def test_groups_and_equal_images_stay_in_one_split_of_every_fold() -> None:
    groups = [f"g{i // 4}" for i in range(60)]
    pool = make_pool([32, 28], groups=groups)
    pool = Pool(pool.labels, ["same" if i in (0, 31) else key for i, key in enumerate(pool.keys)], groups, "ab", 0.2)
    for codes in divide(pool, 4):
        for group in set(groups):
            assert len({codes[i] for i, own in enumerate(groups) if own == group}) == 1
        assert codes[0] == codes[31]  # equal images link their groups
    copies = Pool(np.repeat([0, 1], 20), [f"{i // 2}" for i in range(40)], None, "ab", 0.2)
    for codes in divide(copies, 5):
        assert (codes[::2] == codes[1::2]).all()


def test_images_that_are_joined_stay_together_in_chains_and_across_groups() -> None:
    pool = make_pool([20, 20])
    joined = join_images(pool, [(0, 3), (3, 25), (7, 8)])
    assert len({joined.keys[i] for i in (0, 3, 25)}) == 1 == len({joined.keys[i] for i in (7, 8)})
    assert len(set(joined.keys)) == 37
    for codes in divide(joined, 4):
        assert codes[0] == codes[3] == codes[25] and codes[7] == codes[8]
    groups = [f"g{i // 2}" for i in range(40)]
    for codes in divide(join_images(make_pool([20, 20], groups=groups), [(0, 39)]), 4):
        assert len({codes[i] for i in (0, 1, 38, 39)}) == 1


def test_a_class_with_too_few_images_or_groups_is_refused_with_the_key() -> None:
    with pytest.raises(UserError, match=r"verdict.folds 5: class b has 4 different images; at least 5 are needed"):
        divide(make_pool([30, 4]), 5)
    with pytest.raises(UserError, match="class a has 2 unrelated groups; at least 3 are needed, one for each fold"):
        divide(make_pool([30, 30], groups=["x", "y", "z", "u", "v", "w"] * 0 + [f"g{i // 15}" for i in range(60)]), 3)


def test_a_pool_joins_the_splits_in_order_and_knows_copies_by_their_content() -> None:
    rows = {
        split: pl.DataFrame({"image_id": ids, "label": [0] * len(ids), "parent_id": [None] * len(ids)})
        for split, ids in (("train", ["aa", "aa-1", "bb"]), ("validation", ["cc"]), ("test", ["dd"]))
    }
    pool = pool_splits(rows, {}, ["one"])
    assert list(pool.keys) == ["aa", "aa", "bb", "cc", "dd"] and pool.groups is None
    grouped = pool_splits(rows, {"aa": 0, "bb": 1, "cc": 0, "dd": 2}, ["one"])
    assert grouped.groups == ["group 0", "group 0", "group 1", "group 0", "group 2"]
    assert pool.validation == pytest.approx(0.2)


def test_leftover_images_of_several_classes_go_to_different_folds() -> None:
    labels = np.repeat(np.arange(5), 6)
    members = assign_test_folds(labels, [str(i) for i in range(30)], folds=5)
    assert np.bincount(members).tolist() == [6] * 5
