"""The verdict where the generator was not used: the baselines' scores as in every verdict, and nothing compared."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from ops.verdict.decision import decide
from ops.verdict.estimate import BoolArray
from ops.verdict.records import Budget, Verdict
from ops.verdict.reference import ReferenceAnswers
from ops.verdict.without_generator import judge_baselines

RNG = np.random.default_rng(3)
LABELS = np.arange(400) % 3
NAMES = ["boot", "coat", "hat", "scarf"]  # the last class has no test image
CORRECT: dict[str, BoolArray] = {"real": RNG.random((5, 400)) < 0.8, "mixup": RNG.random((5, 400)) < 0.9}
VALIDATION = {"real": 0.81, "mixup": 0.88}
RATES = {"real": [0.8, 0.7, 0.9, float("nan")], "mixup": [0.9, 0.9, 0.8, float("nan")]}
REFERENCE = ReferenceAnswers("a linear model", RNG.random(400) < 0.7, 0.7)
BUDGET = Budget(steps=400, batch_size=64)


def judge(**changes: Any) -> Verdict:
    settings: dict[str, Any] = {
        "unused": "its images lie 12 % of the way; 55 % are needed", "metric": "accuracy", "budget": BUDGET,
        "aliases": {"weighted": "real"}, "confidence": 0.95, "validation_per_class": RATES, "reference": REFERENCE,
    }  # fmt: skip
    return judge_baselines(CORRECT, VALIDATION, LABELS, NAMES, **settings | changes)


def test_test_images_of_a_group_are_one_draw() -> None:
    units = np.arange(len(LABELS)) // 4
    found, plain = judge(units=units), judge()
    assert (found.test_groups, plain.test_groups) == (len(set(units.tolist())), None)
    assert [row.score.estimate for row in found.arms] == [row.score.estimate for row in plain.arms]
    assert found.arms[0].score.standard_error != plain.arms[0].score.standard_error
    assert found.reference is not None and plain.reference is not None
    assert found.reference.gap.standard_error != plain.reference.gap.standard_error


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "worst_class"])
def test_scores_and_reference_are_those_of_a_verdict_with_a_generator(metric: Any) -> None:
    found = judge(metric=metric)
    whole = decide(
        CORRECT | {"grown": CORRECT["real"]}, {"real": "baseline", "mixup": "baseline", "grown": "expanded"},
        VALIDATION | {"grown": 0.5}, LABELS, NAMES, metric=metric, budget=BUDGET, reference=REFERENCE,
        validation_per_class=RATES | {"grown": RATES["real"]},
    )  # fmt: skip
    assert {row.arm: row for row in found.arms if row.same_as is None} == {
        row.arm: row for row in whole.arms if row.kind == "baseline"
    }
    assert found.reference == whole.reference
    assert [(row.arm, row.same_as) for row in found.arms] == [("real", None), ("mixup", None), ("weighted", "real")]
    assert [(row.name, row.images, row.baseline) for row in found.per_class] == [
        (row.name, row.images, row.baseline) for row in whole.per_class
    ]


def test_nothing_is_compared_and_the_first_sentence_says_why() -> None:
    found = judge()
    assert (found.decision, found.baseline, found.challenger, found.contrasts) == ("no evidence", "mixup", None, [])
    assert (found.generators, found.worst_class, found.smallest_detectable_effect) == (0, None, None)
    assert {(row.challenger, row.difference) for row in found.per_class} == {(None, None)}
    score = next(row.score for row in found.arms if row.arm == "mixup")
    assert found.sentence == (
        "The generator was not used: its images lie 12 % of the way; 55 % are needed. So there is no evidence on"
        " expansion. Without generated images mixup, the arm that validation picked, reaches"
        f" {100 * score.estimate:.1f} % (95 % interval {100 * score.low:.1f} to {100 * score.high:.1f}) in accuracy on"
        " 400 test images over 5 seeds, after 400 steps of batch 64."
    )
    stored = found.to_dict()
    assert stored["generator_used"] is False and "unused" not in stored
    json.dumps(stored, allow_nan=False)


def test_classifiers_that_have_not_learnt_are_said_as_well() -> None:
    better = ReferenceAnswers("a linear model", np.ones(400, bool), 0.99)
    assert judge(reference=better).sentence.endswith(
        "The classifiers have not learnt enough to judge by: mixup reaches 90 %, a linear model 100 %."
    )
