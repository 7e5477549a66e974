"""Measures on answers that can be counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from ops.study.measures import MEASURES, Answers

LABELS = np.repeat([0, 1, 2], 4)


def answer(right: tuple[int, int, int], counts: tuple[int, ...], sure: float = 0.8) -> Answers:
    """Of the four images of each class so many are right; all answers have the probability `sure`."""
    named = np.concatenate([np.where(np.arange(4) < right[c], c, (c + 1) % 3) for c in range(3)])
    probabilities = np.full((12, 3), (1 - sure) / 2)
    probabilities[np.arange(12), named] = sure
    return Answers(probabilities, LABELS, counts)


def test_scores() -> None:
    answers = answer((4, 3, 1), (100, 20, 5))
    found = {name: measure(answers) for name, measure in MEASURES.items() if name not in ("fgsm", "ifgsm")}
    assert found["accuracy"] == pytest.approx(8 / 12)
    assert found["balanced_accuracy"] == pytest.approx(8 / 12)
    assert found["worst_class"] == pytest.approx(1 / 4)
    assert (found["head"], found["middle"], found["tail"]) == pytest.approx((1.0, 0.75, 0.25))
    assert found["calibration_error"] == pytest.approx(abs(0.8 - 8 / 12))


def test_groups_have_no_value_where_classes_are_about_equally_large() -> None:
    answers = answer((4, 3, 1), (100, 90, 80))
    assert [MEASURES[group](answers) for group in ("head", "middle", "tail")] == [None, None, None]
