"""The rule by which labels are taken, example by example and against a slow reading of it."""

from __future__ import annotations

import numpy as np
import pytest

from ops.labelling.pseudo_labels import take_evenly


def test_the_surest_of_each_class_are_taken_and_no_class_takes_more_than_its_share() -> None:
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.8, 0.2], [0.7, 0.3], [0.2, 0.8], [0.5, 0.5]])
    found = take_evenly(probabilities)
    assert found.labels.tolist() == [0, 0, 0, 0, 1, 0], "of equally probable classes the first"
    assert found.confidence.tolist() == [0.9, 0.6, 0.8, 0.7, 0.8, 0.5]
    assert found.taken.tolist() == [True, False, True, True, True, False], "three each; of class 1 there is only one"
    assert found.count(2) == [3, 1]
    assert take_evenly(probabilities, 1).taken.nonzero()[0].tolist() == [0, 4]
    assert take_evenly(probabilities, 100).taken.all()


def test_of_equally_sure_images_the_first_are_taken() -> None:
    assert take_evenly(np.full((5, 1), 1.0), 2).taken.tolist() == [True, True, False, False, False]


@pytest.mark.parametrize("per_class", [None, 1, 7])
def test_it_is_the_rule_read_slowly(per_class: int | None) -> None:
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.full(4, 0.5), 101).round(2)  # rounded, so that there are ties
    found, most = take_evenly(probabilities, per_class), per_class or 26
    for label in range(4):
        members = [row for row in range(101) if int(np.argmax(probabilities[row])) == label]
        members.sort(key=lambda row: (-probabilities[row].max(), row))
        assert set(members[:most]) == set(np.flatnonzero(found.taken & (found.labels == label)))


def test_an_empty_pool_gives_nothing() -> None:
    assert take_evenly(np.zeros((0, 3))).count(3) == [0, 0, 0]
