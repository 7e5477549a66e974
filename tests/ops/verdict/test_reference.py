"""The picked baseline beside the reference model and chance: closed forms, planted weak baselines, the sentence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import t

from ops.verdict.decision import decide
from ops.verdict.estimate import BoolArray
from ops.verdict.records import Budget, Kind, Verdict
from ops.verdict.reference import ReferenceAnswers, choose_checked_metric, compare_reference, find_chance

NAME = "logistic regression on gradient histograms"
KINDS: dict[str, Kind] = {"mixup": "baseline", "real": "baseline", "grown": "expanded"}
VALIDATION = {"mixup": 0.82, "real": 0.80, "grown": 0.83}
LABELS = np.arange(1000) % 4


def make_arm(accuracy: float, seeds: int = 5, images: int = 1000, seed: int = 0) -> BoolArray:
    """Arms of one seed are nested: the better one is right wherever the worse one is."""
    return np.random.default_rng(seed).random((seeds, images)) < accuracy


def make_reference(accuracy: float, images: int = 1000, seed: int = 0) -> ReferenceAnswers:
    return ReferenceAnswers(NAME, make_arm(accuracy, 1, images, seed)[0], accuracy)


def judge(accuracies: dict[str, float], reference: ReferenceAnswers | None, **options: Any) -> Verdict:
    settings: dict[str, Any] = {"metric": "accuracy", "budget": Budget(1600, 64), "labels": LABELS} | options
    correct = {name: make_arm(accuracy) for name, accuracy in accuracies.items()}
    return decide(correct, KINDS, VALIDATION, class_names=list("abcd"), reference=reference, **settings)


HELPS, HURTS = {"mixup": 0.80, "real": 0.78, "grown": 0.88}, {"mixup": 0.80, "real": 0.78, "grown": 0.70}


@pytest.mark.parametrize(("accuracies", "outcome"), [(HELPS, "helps"), (HURTS, "hurts")])
def test_a_competent_baseline_leaves_the_decision_as_it_is(accuracies: dict[str, float], outcome: str) -> None:
    alone = judge(accuracies, None)
    for accuracy in (0.5, 0.80):
        found = judge(accuracies, make_reference(accuracy))
        assert found.decision == alone.decision == outcome
        assert found.sentence == alone.sentence and found.contrasts == alone.contrasts
        assert found.reference is not None and found.reference.shortfall is None
    assert alone.reference is None


@pytest.mark.parametrize("accuracies", [HELPS, HURTS])
def test_a_baseline_clearly_below_the_reference_model_decides_nothing(accuracies: dict[str, float]) -> None:
    found = judge(accuracies, make_reference(0.95))
    row = found.reference
    assert row is not None
    assert (found.decision, row.shortfall, found.has_learnt) == ("no evidence", "below_reference", False)
    assert row.gap.high < 0
    first, second = found.sentence.split(". ", 1)
    baseline, other = 100 * row.baseline.estimate, 100 * row.score.estimate
    assert first == (
        f"The classifiers have not learnt enough to judge by: mixup reaches {baseline:.0f} %, {NAME} {other:.0f} %"
    )
    assert second.startswith("So there is no evidence either way: grown is ")
    assert second.endswith("after 1,600 steps of batch 64, for this generated set.")


def test_a_baseline_that_may_be_as_good_as_the_reference_model_is_not_blocked() -> None:
    """The point estimate lies below it, the interval does not."""
    found = judge(HELPS, make_reference(0.81, seed=5))
    assert found.reference is not None
    assert found.reference.gap.estimate < 0 < found.reference.gap.high
    assert found.decision == "helps"


def test_a_baseline_at_chance_decides_nothing_even_above_the_reference_model() -> None:
    found = judge({"mixup": 0.25, "real": 0.25, "grown": 0.6}, make_reference(0.2))
    row = found.reference
    assert row is not None
    assert (found.decision, row.shortfall, row.chance) == ("no evidence", "near_chance", 0.25)
    assert row.baseline.low <= 0.25
    assert found.sentence.startswith(
        f"The classifiers have not learnt enough to judge by: mixup reaches {100 * row.baseline.estimate:.1f} % "
        f"(95 % interval {100 * row.baseline.low:.1f} to {100 * row.baseline.high:.1f}), and answers that ignore the "
        "image 25.0 %. So there is no evidence either way: "
    )


def test_the_gap_is_the_closed_form_over_images_and_the_baselines_seeds() -> None:
    baseline, reference = make_arm(0.7, seed=1), make_reference(0.75, seed=2)
    gap = compare_reference(reference, baseline, LABELS, metric="accuracy", confidence=0.9).gap
    differences, seeds, n = baseline.mean(axis=0) - reference.correct, len(baseline), len(LABELS)
    images = differences.var(ddof=1) / n
    between = baseline.mean(axis=1).var(ddof=1) / seeds
    inside = (baseline.var(axis=0, ddof=1) / n).mean() / seeds
    variance = images + max(0.0, between - inside)
    df = max(variance**2 / (images**2 / (n - 1) + between**2 / (seeds - 1)), seeds - 1)
    assert gap.estimate == pytest.approx(differences.mean())
    assert gap.high == pytest.approx(differences.mean() + t.ppf(0.95, df) * variance**0.5)


def test_chance_is_what_answers_reach_that_ignore_the_image() -> None:
    uneven = np.repeat([0, 1, 4], [60, 30, 10])
    assert find_chance(uneven, "accuracy") == 0.6
    assert find_chance(uneven, "balanced_accuracy") == pytest.approx(1 / 3)


def test_the_worst_class_is_checked_by_balanced_accuracy() -> None:
    """A class that no network knows is no reason to doubt the networks: it is what a verdict on it may be about."""
    assert [choose_checked_metric(metric) for metric in ("accuracy", "balanced_accuracy", "worst_class")] == [
        "accuracy", "balanced_accuracy", "balanced_accuracy",
    ]  # fmt: skip
    baseline = make_arm(0.9) & (LABELS != 3)
    row = compare_reference(make_reference(0.6), baseline, LABELS, metric="worst_class", confidence=0.95)
    assert (row.metric, row.shortfall) == ("balanced_accuracy", None)
    per_class = {arm: [0.8, 0.8, 0.8, 0.7] for arm in KINDS}
    weak = judge(HELPS, make_reference(0.95), metric="worst_class", validation_per_class=per_class)
    assert weak.reference is not None
    reached = f"{100 * weak.reference.baseline.estimate:.0f}"
    assert f"mixup reaches {reached} % balanced accuracy, logistic regression on" in weak.sentence


def test_less_than_a_point_below_is_no_shortfall() -> None:
    labels = np.arange(100_000) % 4
    for rate, shortfall in ((0.806, None), (0.82, "below_reference")):
        baseline, reference = make_arm(0.80, images=len(labels)), make_reference(rate, len(labels))
        row = compare_reference(reference, baseline, labels, metric="accuracy", confidence=0.95)
        assert row.gap.high < 0
        assert row.shortfall == shortfall


def test_close_scores_are_told_apart_by_decimals() -> None:
    labels = np.arange(100_000) % 4
    correct = {name: make_arm(0.80, images=len(labels)) for name in KINDS}
    reference = make_reference(0.8145, len(labels))
    found = decide(
        correct,
        KINDS,
        VALIDATION,
        labels,
        list("abcd"),
        metric="accuracy",
        budget=Budget(1600, 64),
        reference=reference,
    )
    row = found.reference
    assert row is not None and row.shortfall == "below_reference"
    assert (
        f"mixup reaches {100 * row.baseline.estimate:.1f} %, {NAME} {100 * row.score.estimate:.1f} %" in found.sentence
    )


@pytest.mark.parametrize("correct", [np.ones(999, bool), np.ones((1, 1000), bool), np.ones(1000)])
def test_answers_of_another_shape_are_refused(correct: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"must be bool \[1000\]"):
        judge(HELPS, ReferenceAnswers(NAME, correct, 0.5))
