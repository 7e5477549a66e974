"""Parts of the labels: nested, the same share of every class, and groups together."""

from __future__ import annotations

import numpy as np
import pytest

from ops.chain.label_curve import choose_arm, find_different
from ops.recipe.arms import Arm
from ops.verdict.worth.parts import count_part, order_images, take_part

LABELS = np.repeat([0, 1, 2], [40, 20, 3])


def test_parts_are_nested_and_take_the_same_share_of_every_class() -> None:
    order = order_images(np.arange(63), 5)
    parts = {share: take_part(LABELS, order, share) for share in (0.125, 0.25, 0.5, 1.0)}
    assert [np.bincount(LABELS[part]).tolist() for part in parts.values()] == [
        [5, 2, 1], [10, 5, 1], [20, 10, 2], [40, 20, 3],
    ]  # fmt: skip
    for small, large in ((0.125, 0.25), (0.25, 0.5), (0.5, 1.0)):
        assert set(parts[small]) <= set(parts[large])
    assert (np.diff(parts[0.5]) > 0).all()
    assert not np.array_equal(parts[0.25], take_part(LABELS, order_images(np.arange(63), 6), 0.25))


def test_images_of_a_group_come_together() -> None:
    units = np.repeat(np.arange(10), 4)
    part = take_part(np.zeros(40, int), order_images(units, 0), 0.5)
    assert np.bincount(units[part], minlength=10).tolist().count(4) == 5


def test_shares_that_few_images_do_not_tell_apart_are_one_size() -> None:
    few = np.repeat([0, 1], 3)
    assert find_different(few, (0.1, 0.125, 0.5, 0.9)) == [0.1, 0.5]
    assert find_different(LABELS, (0.125, 0.25, 0.5)) == [0.125, 0.25, 0.5]


@pytest.mark.parametrize("share", [0.01, 0.125, 0.25, 0.3, 0.5, 0.75])
def test_a_part_has_as_many_images_of_each_class_as_are_counted(share: float) -> None:
    part = take_part(LABELS, order_images(np.arange(63), 1), share)
    assert np.bincount(LABELS[part]).tolist() == [count_part(images, share) for images in (40, 20, 3)]


def test_the_curve_is_that_of_the_best_arm_whose_teacher_did_not_see_all_labels() -> None:
    taught = Arm.model_validate({"targets": {"kind": "teacher", "of": "real", "images": "real"}})
    arms = {"real": Arm(), "mixup": Arm.model_validate({"pairing": "mixup"}), "taught": taught}
    entries = {"real": {"validation": 0.7}, "mixup": {"validation": 0.8}, "taught": {"validation": 0.9}}
    assert choose_arm(entries, arms) == "mixup"
