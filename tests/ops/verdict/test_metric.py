"""The three metrics by hand, their relations, and which one is the default."""

from __future__ import annotations

import subprocess
import sys
from typing import get_args

import numpy as np
import pytest

from ops.recipe.design import Metric
from ops.verdict.metric import choose_metric, score_answers, score_classes

LABELS = np.array([0, 0, 0, 0, 2, 2, 5])
RIGHT = np.array([1, 1, 1, 0, 1, 0, 1], dtype=bool)


def test_scores_by_hand() -> None:
    assert score_answers(RIGHT, LABELS, "accuracy") == pytest.approx(5 / 7)
    assert score_answers(RIGHT, LABELS, "balanced_accuracy") == pytest.approx((3 / 4 + 1 / 2 + 1) / 3)
    assert score_answers(RIGHT, LABELS, "worst_class") == pytest.approx(1 / 2)
    assert score_classes(RIGHT, LABELS).tolist() == [0.75, 0.5, 1.0]


def test_leading_axes_are_kept_and_equal_classes_make_balanced_accuracy_accuracy() -> None:
    correct = np.random.default_rng(0).random((3, 2, 40)) < 0.7
    labels = np.arange(40) % 4
    for metric in get_args(Metric):
        scores = score_answers(correct, labels, metric)
        assert scores.shape == (3, 2)
        assert scores[2, 1] == score_answers(correct[2, 1], labels, metric)
    balanced = score_answers(correct, labels, "balanced_accuracy")
    np.testing.assert_allclose(balanced, score_answers(correct, labels, "accuracy"))
    assert (score_answers(correct, labels, "worst_class") <= balanced).all()


@pytest.mark.parametrize(
    ("counts", "metric"),
    [([10, 30], "accuracy"), ([10, 31], "balanced_accuracy"), ([5], "accuracy"), ([0, 1], "balanced_accuracy")],
)
def test_the_default_is_balanced_where_the_largest_class_has_more_than_three_times_the_smallest(
    counts: list[int], metric: Metric
) -> None:
    assert choose_metric(counts) == metric


def test_inputs_without_a_score_are_refused() -> None:
    with pytest.raises(ValueError, match="labels"):
        score_answers(RIGHT, LABELS[:3], "accuracy")
    with pytest.raises(ValueError, match="labels"):
        score_answers(RIGHT[:0], LABELS[:0], "accuracy")
    with pytest.raises(ValueError, match="metric"):
        score_answers(RIGHT, LABELS, "f1")
    with pytest.raises(ValueError, match="class"):
        choose_metric([])


def test_it_needs_neither_torch_nor_pydantic() -> None:
    code = "import sys, ops.verdict.metric; print({'torch', 'pydantic', 'scipy', 'polars'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
