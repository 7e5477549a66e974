"""The sentence, word by word, for every kind of verdict."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ops.verdict.decision import decide
from ops.verdict.estimate import BoolArray, Interval
from ops.verdict.records import Budget, Contrast, Kind, Verdict
from ops.verdict.sentence import tell_contrast

KINDS: dict[str, Kind] = {"real": "baseline", "mixup": "baseline", "expanded": "expanded", "both": "expanded"}
VALIDATION = {"real": 0.80, "mixup": 0.82, "expanded": 0.83, "both": 0.85}
LABELS = np.arange(1000) % 4


def make_arm(accuracy: float, seeds: int = 5) -> BoolArray:
    return np.random.default_rng(0).random((seeds, 1000)) < accuracy


def judge(accuracies: dict[str, float], seeds: int = 5, **options: Any) -> Verdict:
    settings: dict[str, Any] = {"metric": "accuracy", "budget": Budget(1600, 64)} | options
    correct = {name: make_arm(accuracy, seeds) for name, accuracy in accuracies.items()}
    kinds, validation = {**KINDS, "other": "baseline"}, {**VALIDATION, "other": 0.7}
    return decide(correct, kinds, validation, LABELS, list("abcd"), **settings)


def points(value: float) -> str:
    return f"{abs(100 * value):.1f}"


def test_helps() -> None:
    verdict = judge({"real": 0.78, "mixup": 0.80, "expanded": 0.82, "both": 0.86})
    gap = verdict.contrasts[0].difference
    assert verdict.sentence == (
        f"Expansion helps: both is {points(gap.estimate)} points better than mixup, the arm without generated data "
        f"that validation picked (95 % interval {points(gap.low)} to {points(gap.high)}), and better than the "
        "other arm without, in accuracy on 1,000 test images over 5 seeds, after 1,600 steps of batch 64, "
        "for this generated set."
    )


def test_equal_scores_of_seeds_in_another_order_are_as_good() -> None:
    """Their means differ by rounding alone."""
    answers, order = make_arm(0.8), [3, 1, 4, 0, 2]
    found = decide(
        {"real": answers, "expanded": answers[order]}, KINDS, VALIDATION, LABELS, list("abcd"), metric="accuracy",
        budget=Budget(1600, 64),
    )  # fmt: skip
    assert "expanded is as good as real" in found.sentence and "0.000" not in found.sentence.split("(")[0]


def test_hurts_is_written_as_a_positive_loss() -> None:
    verdict = judge({"real": 0.78, "mixup": 0.90, "both": 0.80}, generators=[0, 1, 2, 3, 4], metric="balanced_accuracy")
    gap = verdict.contrasts[0].difference
    assert verdict.sentence == (
        f"Expansion hurts: both is {points(gap.estimate)} points worse than mixup, the arm without generated data "
        f"that validation picked (95 % interval {points(gap.high)} to {points(gap.low)}), in balanced accuracy "
        "on 1,000 test images over 5 seeds, after 1,600 steps of batch 64, "
        "for another generator of this recipe (5 were trained)."
    )
    both = judge({"real": 0.78, "mixup": 0.90, "expanded": 0.81, "both": 0.80})
    assert "), and so is the other arm with generated data, in accuracy on" in both.sentence


def test_no_evidence_gives_the_difference_and_the_detectable_effect() -> None:
    verdict = judge({"real": 0.78, "mixup": 0.80, "both": 0.795})
    gap, least = verdict.contrasts[0].difference, verdict.smallest_detectable_effect
    assert least is not None
    assert verdict.sentence == (
        f"No evidence either way: both is {points(gap.estimate)} points worse than mixup, the arm without generated "
        f"data that validation picked (95 % interval {points(gap.high)} better to {points(gap.low)} worse), in "
        "accuracy on 1,000 test images over 5 seeds, after 1,600 steps of batch 64, for this generated set; a true "
        f"difference below {100 * least:.2g} points would be missed more than one time in five."
    )
    better = judge({"real": 0.78, "mixup": 0.795, "both": 0.80})
    assert " points better than mixup, " in better.sentence and " worse to " in better.sentence


def test_a_condition_that_is_missed_is_named() -> None:
    helps = judge({"real": 0.86, "mixup": 0.80, "both": 0.86}).sentence
    assert helps.startswith("No evidence that expansion helps: both is ")
    assert "; but both is as good as real (" in helps
    worse = judge({"real": 0.86, "mixup": 0.80, "other": 0.99, "both": 0.86}).sentence
    assert " points worse than other (" in worse and "real (" not in worse  # the widest gap, not the first one
    hurts = judge({"real": 0.78, "mixup": 0.90, "expanded": 0.90, "both": 0.80}).sentence
    assert hurts.startswith("No evidence that expansion hurts: both is ")
    assert "; but expanded is as good as mixup (" in hurts


def test_too_few_seeds_are_the_reason() -> None:
    sentence = judge({"real": 0.7, "both": 0.9}, seeds=3).sentence
    assert sentence.startswith("No evidence either way: both is ")
    assert "; 3 seeds cannot decide, at least 5 do; a true difference" in sentence
    one = judge({"real": 0.7, "both": 0.9}, seeds=1).sentence
    assert "over 1 seed, " in one and "; 1 seed cannot decide, at least 5 do" in one
    assert "; what another seed would give is not measured; " in one


def test_limits_are_told_up_to_100_points() -> None:
    gap = Interval(0.02, -5.844, 5.847, 0.46, 1.0)
    told = tell_contrast(Contrast("expanded", "mixup", "condition", gap))
    assert told == "expanded is 2.0 points better than mixup (100.0 worse to 100.0 better)"


def test_looks_are_named() -> None:
    first = judge({"real": 0.795, "both": 0.80}, looks=2).sentence
    assert "(95 % interval over both looks " in first
    assert "; this is the first of two looks, the second has more seeds; " in first
    assert "first of two looks" not in judge({"real": 0.795, "both": 0.80}, look=2, looks=2).sentence


def test_the_worst_class_is_named() -> None:
    correct = {"real": make_arm(0.7), "both": make_arm(0.9)}
    options: dict[str, Any] = {"metric": "worst_class", "validation_per_class": {a: [0.1, 1, 1, 1] for a in correct}}
    verdict = decide(correct, KINDS, VALIDATION, LABELS, list("abcd"), budget=Budget(1, 8), **options)
    assert "in the accuracy of the worst class on 1,000 test images over 5 seeds, after 1 step of" in verdict.sentence


def test_small_limits_keep_enough_decimals_to_show_their_sign() -> None:
    rng = np.random.default_rng(0)
    right = rng.random((5, 200_000)) < 0.8
    more = right | (rng.random((5, 200_000)) < 0.002)
    verdict = decide(
        {"real": right, "both": more}, KINDS, VALIDATION, np.zeros(200_000, int), ["all"], metric="accuracy",
        budget=Budget(1600, 64), validation_images=1000,
    )  # fmt: skip
    assert "interval 0.0 " not in verdict.sentence and " is 0.04 points better" in verdict.sentence


@pytest.mark.parametrize("shift", [-0.1, -0.01, 0.0, 0.01, 0.1])
def test_no_sentence_holds_a_negative_number(shift: float) -> None:
    for seeds in (2, 5):
        for looks in (1, 2):
            sentence = judge({"real": 0.8, "mixup": 0.81, "both": 0.81 + shift}, seeds=seeds, looks=looks).sentence
            assert " -" not in sentence and "(-" not in sentence and sentence.isascii()
            assert "best arm" not in sentence and sentence.endswith(".")
