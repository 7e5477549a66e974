"""The arm that is picked, and the class that counts as an arm's worst."""

from __future__ import annotations

import numpy as np
import pytest

from ops.verdict.picks import find_lowest, pick_best


def test_the_first_of_equals_is_picked() -> None:
    assert pick_best({"real": 0.7, "mixup": 0.8, "augmented": 0.8}) == "mixup"


def test_the_lowest_class_is_one_that_has_test_images() -> None:
    assert find_lowest([0.9, 0.2, 0.4, float("nan")], np.array([0, 0, 2, 3])) == 2
    for unknown in ([0.9], [float("nan")] * 4):
        with pytest.raises(ValueError, match="validation accuracy per class"):
            find_lowest(unknown, np.array([1, 3]))
