"""Whether a scorer knows the task: planted guessers, constant answers and competent scorers."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from ops.imagination.scorer_check import check_scorer


def test_the_figures_of_a_hand_made_case() -> None:
    labels, predictions = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 0, 1])
    found = check_scorer(predictions, labels, 4)
    assert found.counts == (3, 2, 1, 0)
    assert found.accuracy == (pytest.approx(2 / 3), 0.5, 0.0, None)
    assert found.overall == 0.5
    assert found.chance == pytest.approx((3 * 3 + 2 * 3) / 36)
    assert found.skill == pytest.approx(cohen_kappa_score(labels, predictions))
    assert found.list_weak() == [2]


@pytest.mark.parametrize("classes", [2, 9, 100])
def test_a_scorer_that_guesses_is_near_chance_and_one_that_knows_most_is_not(classes: int) -> None:
    rng = np.random.default_rng(classes)
    labels = np.arange(10 * classes) % classes
    assert check_scorer(rng.integers(0, classes, len(labels)), labels, classes).is_near_chance
    guesses = np.where(rng.random(len(labels)) < 0.7, labels, rng.integers(0, classes, len(labels)))
    assert not check_scorer(guesses, labels, classes).is_near_chance


def test_a_constant_answer_is_chance_however_often_it_is_right() -> None:
    labels = np.repeat([0, 1], [900, 100])
    found = check_scorer(np.zeros(1000, np.int64), labels, 2)
    assert found.overall == 0.9
    assert found.skill == pytest.approx(0)
    assert found.is_near_chance
    assert "near chance" in found.describe()
    assert check_scorer(labels, labels, 2).describe() == (
        "the scorer names 100.0 % of 1000 seed images rightly, and 82.0 % would be chance"
    )


def test_a_few_right_answers_do_not_clear_a_scorer() -> None:
    assert check_scorer(np.array([0, 1]), np.array([0, 1]), 2).is_near_chance


def test_one_class_alone_tells_nothing() -> None:
    assert check_scorer(np.zeros(50, np.int64), np.zeros(50, np.int64), 1).is_near_chance


def test_no_seed_image_is_refused() -> None:
    with pytest.raises(ValueError, match="there are none"):
        check_scorer(np.empty(0, np.int64), np.empty(0, np.int64), 3)
