"""The least number of images: each rule at its border."""

from __future__ import annotations

import re

import numpy as np
import pytest

from ops.planning.floors import describe_lack, describe_refusal


@pytest.mark.parametrize("counts", [[17, 17], [10, 10], [200, 50, 4], [10] * 100])
def test_enough(counts: list[int]) -> None:
    assert describe_lack(np.array(counts), [f"class {i}" for i in range(len(counts))]) is None


def test_what_lacks_is_named() -> None:
    few = describe_lack(np.array([10, 9]), ["a", "b"])
    assert few is not None and few.startswith("19 training images of 2 classes are too few: ")
    assert few.endswith("at least 4 of each class and 20 in all are needed")
    one = describe_lack(np.array([50, 1, 60]), ["a", "b", "c"])
    assert one is not None and one.startswith("class b has 1 training image, which is too few: ")
    more = describe_lack(np.array([50, 3, 60, 2]), ["a", "b", "c", "d"])
    assert more is not None and more.startswith("class b has 3 training images, which are too few, and 1 more class")


@pytest.mark.parametrize(
    ("given", "counts", "splits", "told"),
    [
        (
            [40, 1, 2],
            [24, 1, 1],
            3,
            r"class b has 1 image \(2 of 3 classes have too few\); every class needs 3, one for each of",
        ),
        ([3, 3], [1, 1], 3, "no class has 2 training images after drawing validation and test, .* one needs 4"),
        ([4, 3], [2, 1], 3, None),
        ([2, 2], [1, 1], 2, "no class has 2 training images after drawing validation, .* one needs 3"),
        ([1, 1], [1, 1], 1, "no class has 2 training images, so none can be judged by another; one needs 2"),
        ([2, 1], [2, 1], 1, None),
    ],
)
def test_what_every_run_refuses_is_told(given: list[int], counts: list[int], splits: int, told: str | None) -> None:
    found = describe_refusal(np.array(given), np.array(counts), "abc", ("train", "validation", "test")[:splits])
    assert found is None if told is None else re.match(told, found or "")
