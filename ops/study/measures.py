"""What a study measures of a classifier on its evaluation images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ops.verdict.calibration import find_calibration_error
from ops.verdict.classes import divide_by_size
from ops.verdict.metric import score_answers


@dataclass(frozen=True, eq=False)
class Answers:
    """The answers of one network, or the mean of several: probabilities float64 [n, K]; labels int64 [n].

    train_counts: real training images of each class.
    """

    probabilities: np.ndarray
    labels: np.ndarray
    train_counts: Sequence[int]

    @property
    def correct(self) -> np.ndarray:
        """Whether each image is named rightly, bool [n]."""
        return np.asarray(self.probabilities.argmax(axis=1) == self.labels)


def score_group(answers: Answers, group: str) -> float:
    """Balanced accuracy over the classes of head, middle or tail; nan where the classes are about equally large."""
    classes = divide_by_size(answers.train_counts).get(group)
    if classes is None:
        return float("nan")
    rows = np.isin(answers.labels, classes)
    return float(score_answers(answers.correct[rows], answers.labels[rows], "balanced_accuracy"))


def measure_calibration(answers: Answers) -> float:
    """The expected calibration error, in 0..1."""
    return find_calibration_error(answers.probabilities.max(axis=1)[None], answers.correct[None])


MEASURES: dict[str, Callable[[Answers], float]] = {
    "accuracy": lambda answers: float(score_answers(answers.correct, answers.labels, "accuracy")),
    "balanced_accuracy": lambda answers: float(score_answers(answers.correct, answers.labels, "balanced_accuracy")),
    "worst_class": lambda answers: float(score_answers(answers.correct, answers.labels, "worst_class")),
    "head": lambda answers: score_group(answers, "head"),
    "middle": lambda answers: score_group(answers, "middle"),
    "tail": lambda answers: score_group(answers, "tail"),
    "calibration_error": measure_calibration,
}
