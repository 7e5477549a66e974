"""Folds: of equal sizes in every class, and the validation split alone where it is large."""

from __future__ import annotations

import numpy as np
import pytest

from ops.datasets.folds import LARGE, assign_folds, divide_for_choices, require_folds, require_whole_units
from ops.errors import UserError


def test_folds_have_equal_sizes_within_each_class_and_follow_the_seed() -> None:
    labels = np.repeat([0, 1, 2], [17, 4, 1])
    folds = assign_folds(labels, 3, seed=5)
    for label in range(3):
        sizes = np.bincount(folds[labels == label], minlength=3)
        assert sizes.max() - sizes.min() <= 1
    assert np.array_equal(folds, assign_folds(labels, 3, seed=5))
    assert not np.array_equal(folds, assign_folds(labels, 3, seed=6))


@pytest.mark.parametrize("count", [1, LARGE - 1, LARGE])
def test_a_large_validation_split_is_the_only_fold(count: int) -> None:
    train, validation = np.arange(30) % 3, np.arange(count) % 3
    folds = divide_for_choices(train, validation, 4, np.random.default_rng(0))
    assert len(folds) == 30 + count
    if count == LARGE:
        assert set(folds[:30]) == {-1}
        assert set(folds[30:]) == {0}
    else:
        assert set(folds) == {0, 1, 2, 3}


def test_units_stay_in_one_fold_and_classes_stay_balanced() -> None:
    labels = np.repeat([0, 1, 2], [60, 40, 20])
    units = np.concatenate([np.repeat(np.arange(20), 3), 20 + np.arange(60) // np.where(np.arange(60) < 40, 4, 1)])
    folds = assign_folds(labels, 3, 0, units)
    for unit in np.unique(units):
        assert len(set(folds[units == unit].tolist())) == 1
    for label, largest in ((0, 3), (1, 4), (2, 1)):
        sizes = np.bincount(folds[labels == label], minlength=3)
        assert sizes.max() - sizes.min() <= largest


def test_units_of_one_image_change_nothing() -> None:
    labels = np.arange(50) % 4
    assert np.array_equal(assign_folds(labels, 3, 1, np.arange(50)[::-1]), assign_folds(labels, 3, 1))
    require_whole_units(labels, 3, 1, np.arange(50), "scorer.folds")


def test_a_number_of_folds_is_refused_where_whole_units_leave_one_empty() -> None:
    labels, patients = np.tile([0, 1], 12), np.repeat([0, 1], 12)
    require_folds([12, 12], 3, "scorer.folds")  # there are images enough
    sentence = "scorer.folds 4: equal .* and that leaves 2 of the folds with fewer than two images; lower it to 2"
    with pytest.raises(UserError, match=sentence):
        require_whole_units(labels, 4, 0, patients, "scorer.folds")
    require_whole_units(labels, 2, 0, patients, "scorer.folds")
    alone = np.concatenate([np.repeat([0, 1], 20)[:39], [2]])  # two large patients, and one of a single image
    with pytest.raises(UserError, match="leaves 1 of the folds with fewer than two images; lower it to 2"):
        require_whole_units(np.tile([0, 1], 20), 3, 0, alone, "scorer.folds")
    every = np.zeros(24, int)
    every[:2] = (1, 1)  # a patient beside whom another one has all other images
    require_whole_units(labels, 2, 0, every, "scorer.folds")


def test_a_unit_that_is_a_whole_class_is_divided() -> None:
    labels = np.repeat([0, 1], [6, 6])
    folds = assign_folds(labels, 3, 0, np.concatenate([np.zeros(6, int), 1 + np.arange(6) // 2]))
    assert np.bincount(folds[labels == 0]).tolist() == [2, 2, 2]
    assert all(len(set(folds[6 + 2 * pair : 8 + 2 * pair].tolist())) == 1 for pair in range(3))


@pytest.mark.parametrize("sizes", [[14, 14, 14], [2, 2], [1, 1], [3, 1], [20, 1], [5]])
@pytest.mark.parametrize("folds", [2, 3, 14, 20])
def test_a_number_of_folds_is_refused_where_one_would_have_less_than_two_images(sizes: list[int], folds: int) -> None:
    labels = np.repeat(np.arange(len(sizes)), sizes)
    least = np.bincount(assign_folds(labels, folds, seed=0), minlength=folds).min()
    if least >= 2:
        require_folds(sizes, folds, "scorer.folds")
    elif least == 1:
        with pytest.raises(UserError, match=f"scorer.folds {folds} leaves a fold with one training image; lower it"):
            require_folds(sizes, folds, "scorer.folds")
    else:
        with pytest.raises(UserError, match=f"scorer.folds {folds} is more than the {max(sizes)} training images of"):
            require_folds(sizes, folds, "scorer.folds")
