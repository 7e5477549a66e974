"""The rule on constructed data, the arms that are compared, the metric, and the content of the verdict."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from scipy.stats import t

from ops.errors import UserError
from ops.verdict.comparison import Comparison
from ops.verdict.decision import decide
from ops.verdict.estimate import BoolArray, average_generators
from ops.verdict.looks import find_tail
from ops.verdict.records import Budget, Contrast, Kind, Verdict

SEEDS, IMAGES = 5, 1000
LABELS = np.arange(IMAGES) % 4
CLASSES = ["boot", "coat", "hat", "scarf"]
KINDS: dict[str, Kind] = {"real": "baseline", "mixup": "baseline", "expanded": "expanded", "both": "expanded"}
VALIDATION = {"real": 0.80, "mixup": 0.82, "expanded": 0.83, "both": 0.85}
BUDGET = Budget(steps=1600, batch_size=64)


def make_arm(accuracy: float, seed: int = 0, seeds: int = SEEDS, images: int = IMAGES) -> BoolArray:
    """Arms made with one seed are nested: the better one is right wherever the worse one is."""
    draws = np.random.default_rng(seed).random((seeds, images))
    return draws < accuracy


def judge(correct: dict[str, BoolArray], **options: Any) -> Verdict:
    settings: dict[str, Any] = {
        "kinds": KINDS, "validation": VALIDATION, "labels": LABELS, "class_names": CLASSES, "metric": "accuracy",
        "budget": BUDGET,
    }  # fmt: skip
    return decide(correct, **settings | options)


def judge_accuracies(accuracies: dict[str, float], **options: Any) -> Verdict:
    return judge({name: make_arm(accuracy) for name, accuracy in accuracies.items()}, **options)


def test_helps_needs_the_challenger_above_every_baseline() -> None:
    clear = judge_accuracies({"real": 0.78, "mixup": 0.80, "expanded": 0.82, "both": 0.86})
    assert (clear.decision, clear.challenger, clear.baseline) == ("helps", "both", "mixup")
    # Validation picked mixup, yet real is better on the test images, so the verdict must not be `helps`.
    missed = judge_accuracies({"real": 0.86, "mixup": 0.80, "expanded": 0.82, "both": 0.86})
    assert missed.decision == "no evidence"
    lows = {c.against: c.difference.low for c in missed.contrasts if c.arm == "both"}
    assert lows["mixup"] > 0 > lows["real"]


def test_hurts_needs_every_expanded_arm_below_the_picked_baseline() -> None:
    clear = judge_accuracies({"real": 0.78, "mixup": 0.90, "expanded": 0.82, "both": 0.80})
    assert clear.decision == "hurts"
    missed = judge_accuracies({"real": 0.78, "mixup": 0.86, "expanded": 0.86, "both": 0.80})
    assert missed.decision == "no evidence"
    highs = {c.arm: c.difference.high for c in missed.contrasts if c.against == "mixup"}
    assert highs["both"] < 0 < highs["expanded"]


@pytest.mark.parametrize("accuracy", [0.70, 0.90])
def test_fewer_than_five_seeds_decide_nothing_in_any_arm(accuracy: float) -> None:
    correct = {"real": make_arm(0.8), "both": make_arm(accuracy)}
    assert judge(correct).decision in ("helps", "hurts")
    for short in correct:
        verdict = judge(correct | {short: correct[short][:4]})
        assert (verdict.decision, verdict.seeds) == ("no evidence", 4)
        assert verdict.contrasts[0].difference.low * verdict.contrasts[0].difference.high > 0
        assert "4 seeds cannot decide, at least 5 do" in verdict.sentence


def test_validation_picks_the_arms_to_compare_and_test_accuracy_does_not() -> None:
    accuracies = {"real": 0.90, "mixup": 0.70, "expanded": 0.95, "both": 0.75}
    verdict = judge_accuracies(accuracies)
    assert (verdict.baseline, verdict.challenger, verdict.chosen_on) == ("mixup", "both", "validation")
    turned = judge_accuracies(accuracies, validation={"real": 0.9, "mixup": 0.8, "expanded": 0.9, "both": 0.8})
    assert (turned.baseline, turned.challenger) == ("real", "expanded")


def test_the_contrasts_are_those_that_the_rule_needs() -> None:
    verdict = judge_accuracies({"real": 0.78, "mixup": 0.80, "expanded": 0.82, "both": 0.86})
    assert [(c.arm, c.against, c.role) for c in verdict.contrasts] == [
        ("both", "mixup", "decisive"),
        ("both", "real", "condition"),
        ("expanded", "mixup", "condition"),
    ]
    comparison = Comparison({name: make_arm(a) for name, a in (("both", 0.86), ("real", 0.78))}, LABELS)
    assert verdict.contrasts[1].difference == comparison.differ("both", "real", "accuracy", tail=0.025)


def test_the_metric_decides_everything() -> None:
    labels = (np.arange(IMAGES) >= 900).astype(int)
    often, rare = make_arm(0.8, images=900), make_arm(0.4, seed=1, images=100)
    correct = {
        "real": np.hstack([often, rare]),
        "both": np.hstack([often & make_arm(0.95, seed=2, images=900), rare | make_arm(0.5, seed=3, images=100)]),
    }
    options: dict[str, Any] = {"labels": labels, "class_names": ["often", "rare"]}
    plain = judge(correct, **options)
    balanced = judge(correct, metric="balanced_accuracy", **options)
    per_class = {"real": [0.8, 0.4], "both": [0.8, 0.6]}
    worst = judge(correct, metric="worst_class", validation_per_class=per_class, **options)
    assert [v.decision for v in (plain, balanced, worst)] == ["no evidence", "helps", "helps"]
    for verdict in (plain, balanced, worst):
        scores = {row.arm: row.score.estimate for row in verdict.arms}
        assert verdict.contrasts[0].difference.estimate == pytest.approx(scores["both"] - scores["real"])
    assert {row.arm: row.score for row in balanced.arms} == {row.arm: row.balanced_accuracy for row in balanced.arms}
    assert worst.arms[0].score.estimate == pytest.approx(correct["real"][:, 900:].mean())
    with pytest.raises(ValueError, match="accuracy per class for the metric worst_class"):
        judge(correct, metric="worst_class", **options)


def test_worst_class_is_bounded_from_both_sides_by_classes_lowest_on_validation() -> None:
    correct = {"real": make_arm(0.75), "both": make_arm(0.8, seed=1)}
    found = Comparison(correct, LABELS, lowest={"real": 2, "both": 1})
    interval = found.differ("both", "real", "worst_class", tail=0.025)
    assert interval.low <= interval.estimate <= interval.high
    assert interval.low <= found.differ_on(2, "both", "real", tail=0.025).low
    assert interval.high >= found.differ_on(1, "both", "real", tail=0.025).high
    alone = found.score("both", "worst_class", tail=0.025)
    assert 0 <= alone.low <= alone.estimate <= alone.high <= 1


def test_where_one_class_is_far_below_the_others_worst_class_is_that_class() -> None:
    old, new = make_arm(0.9), make_arm(0.95)
    for arm, rate in ((old, 0.4), (new, 0.5)):
        arm[:, LABELS == 3] = make_arm(rate, seed=5)[:, LABELS == 3]
    found = Comparison({"real": old, "both": new}, LABELS, lowest={"real": 3, "both": 3})
    whole = found.differ("both", "real", "worst_class", tail=0.025)
    assert whole == found.differ_on(3, "both", "real", tail=0.025)


def test_several_generators_stand_for_replicates_of_expanded_arms_alone() -> None:
    correct = {"real": make_arm(0.78), "both": make_arm(0.86, seed=1)}
    one, same = judge(correct), judge(correct, generators=[7] * 5)
    assert same == one and one.generators == 1
    several = judge(correct, generators=[0, 1, 2, 0, 1])
    assert several.generators == 3
    replicates = correct | {"both": average_generators(correct["both"], np.array([0, 1, 2, 0, 1]))}
    expected = Comparison(replicates, LABELS).differ("both", "real", "accuracy", tail=0.025)
    assert several.contrasts[0].difference == expected
    assert several.arms[0] == one.arms[0] and several.arms[1] != one.arms[1]
    assert several.arms[1].per_seed == one.arms[1].per_seed


def test_looks_share_the_error_in_contrasts_alone() -> None:
    correct = {"real": make_arm(0.78), "both": make_arm(0.80, seed=1)}
    one, first, second = judge(correct), judge(correct, looks=2), judge(correct, look=2, looks=2)
    comparison = Comparison(correct, LABELS)
    for verdict, look in ((first, 1), (second, 2)):
        expected = comparison.differ("both", "real", "accuracy", tail=find_tail(look, 2, 0.95))
        assert verdict.contrasts[0].difference == expected
        assert verdict.arms == one.arms and verdict.per_class == one.per_class
    widths = [v.contrasts[0].difference.high - v.contrasts[0].difference.low for v in (one, second, first)]
    assert widths == sorted(widths) and widths[0] < widths[1] < widths[2]


def test_arms_may_have_different_numbers_of_seeds() -> None:
    verdict = judge({"real": make_arm(0.78, seeds=7), "both": make_arm(0.86)})
    assert (verdict.decision, verdict.seeds) == ("helps", 5)
    assert [len(row.per_seed) for row in verdict.arms] == [7, 5]


def test_the_smallest_detectable_effect_is_detected_four_times_in_five() -> None:
    # Images of different difficulty and seeds of equal strength: then the standard error is nearly constant.
    def simulate(s: int, effect: float) -> Verdict:
        rng = np.random.default_rng(s)
        chance = rng.choice([0.02, 0.6, 0.98], 600)
        arms = {"real": chance, "both": chance + effect * (chance == 0.6) * 3}
        return judge({name: rng.random((5, 600)) < p for name, p in arms.items()}, labels=LABELS[:600])

    least = [simulate(s, 0.0).smallest_detectable_effect for s in range(100)]
    assert all(value is not None for value in least)
    effect = float(np.mean([value for value in least if value is not None]))
    found = np.mean([simulate(s, effect).decision == "helps" for s in range(300)])
    assert found == pytest.approx(0.8, abs=0.07)


def test_the_hardest_condition_sets_the_smallest_detectable_effect() -> None:
    def reach(contrast: Contrast) -> float:
        gap = contrast.difference
        assert gap.df is not None
        return gap.estimate - gap.low + t.ppf(0.8, gap.df) * gap.standard_error

    equal = judge_accuracies({"real": 0.60, "mixup": 0.80, "both": 0.82})
    decisive = equal.contrasts[0]
    assert equal.smallest_detectable_effect == pytest.approx(reach(decisive))  # real lies far below
    hard = judge_accuracies({"real": 0.86, "mixup": 0.80, "both": 0.82})
    decisive, condition = hard.contrasts
    behind = decisive.difference.estimate - condition.difference.estimate  # of the picked baseline behind real
    assert behind > 0.05
    assert hard.smallest_detectable_effect == pytest.approx(behind + reach(condition))
    hurts = judge_accuracies({"mixup": 0.80, "expanded": 0.86, "both": 0.82})
    decisive, condition = hurts.contrasts
    ahead = condition.difference.estimate - decisive.difference.estimate  # of the other expanded arm
    assert hurts.smallest_detectable_effect == pytest.approx(ahead + reach(condition))


def test_aliases_appear_in_the_table_beside_the_arm_that_they_equal() -> None:
    verdict = judge_accuracies({"real": 0.78, "both": 0.86}, aliases={"oversampled": "real"})
    rows = {row.arm: row for row in verdict.arms}
    assert list(rows) == ["real", "both", "oversampled"]
    assert rows["oversampled"].same_as == "real" and rows["real"].same_as is None
    assert rows["oversampled"].accuracy == rows["real"].accuracy
    assert rows["oversampled"].kind == "baseline"


def test_arm_rows_hold_accuracy_balanced_accuracy_and_every_seed() -> None:
    labels = (np.arange(IMAGES) >= 900).astype(int)
    right = np.zeros((SEEDS, IMAGES), dtype=bool)
    right[:, :900] = True
    right[0, 900:] = True
    verdict = judge({"real": right, "both": right}, labels=labels, class_names=["often", "rare"])
    row = verdict.arms[0]
    assert row.per_seed == [1.0, 0.9, 0.9, 0.9, 0.9]
    assert row.accuracy.estimate == row.score.estimate == pytest.approx(0.92)
    assert row.balanced_accuracy.estimate == pytest.approx((1.0 + 0.2) / 2)
    assert 0 <= row.accuracy.low <= row.accuracy.estimate <= row.accuracy.high <= 1


def test_classes_are_compared_and_the_one_that_lost_most_is_named() -> None:
    old, new = make_arm(0.8), make_arm(0.9)
    new[:, LABELS == 2] = old[:, LABELS == 2] & make_arm(0.8, seed=9)[:, LABELS == 2]
    verdict = judge({"real": old, "both": new}, class_names=[*CLASSES, "never seen"])
    assert verdict.worst_class == "hat"
    by_name = {row.name: row for row in verdict.per_class}
    hat, boot, unseen = by_name["hat"], by_name["boot"], by_name["never seen"]
    assert hat.images == 250 and hat.difference is not None and hat.difference.high < 0
    assert hat.challenger == pytest.approx(new[:, LABELS == 2].mean())
    assert boot.difference is not None and boot.difference.low > 0
    assert (unseen.images, unseen.baseline, unseen.difference) == (0, None, None)


def test_identical_answers_show_no_effect_that_a_single_image_would_not_show() -> None:
    right = np.ones((SEEDS, IMAGES), dtype=bool)
    verdict = judge({"real": right, "both": right})
    gap = verdict.contrasts[0].difference
    assert (verdict.decision, gap.estimate, gap.standard_error) == ("no evidence", 0, pytest.approx(1 / IMAGES))
    assert 2.7 / IMAGES < verdict.smallest_detectable_effect < 2.9 / IMAGES


def test_a_design_too_small_to_find_anything_gives_no_effect_above_a_hundred_points() -> None:
    unsteady = np.stack([make_arm(accuracy)[0] for accuracy in (0.1, 0.9)])
    verdict = judge({"real": unsteady, "both": make_arm(0.8, seeds=2)})
    assert verdict.smallest_detectable_effect is not None and verdict.smallest_detectable_effect > 1
    assert verdict.sentence.endswith("no true difference, however large, would be found four times in five.")


def test_the_verdict_is_strict_json_and_repeats() -> None:
    accuracies = {"real": 0.78, "mixup": 0.80, "expanded": 0.82, "both": 0.86}
    first, again = judge_accuracies(accuracies).to_dict(), judge_accuracies(accuracies).to_dict()
    assert first == again == json.loads(json.dumps(first, allow_nan=False))
    assert first["budget"] == {"steps": 1600, "batch_size": 64}
    assert set(first) == {
        "decision", "sentence", "metric", "confidence", "look", "looks", "generators", "budget", "challenger",
        "baseline", "chosen_on", "arms", "contrasts", "shares", "per_class", "size_groups", "worst_class",
        "smallest_detectable_effect",
        "seeds", "least_seeds", "test_images", "reference", "generator_used",
    }  # fmt: skip
    assert first["sentence"].isascii()


@pytest.mark.parametrize(
    ("arms", "options", "message"),
    [
        (["real", "mixup"], {}, "with generated images"),
        (["expanded", "both"], {}, "without generated images"),
        (["real", "both"], {"confidence": 1.0}, "confidence"),
        (["real", "both"], {"generators": [0, 1, 0, 1, 0]}, "Two generators are too few for a verdict about another"),
    ],
)
def test_mistakes_of_a_user_are_user_errors(arms: list[str], options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        judge_accuracies(dict.fromkeys(arms, 0.8), **options)


def test_one_test_image_is_a_user_error() -> None:
    with pytest.raises(UserError, match="2 test images"):
        judge({name: make_arm(0.8, images=1) for name in KINDS}, labels=LABELS[:1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"correct": {"real": make_arm(0.8), "both": make_arm(0.8, images=9)}}, "'both' must be bool"),
        ({"correct": {"real": make_arm(0.8)[0], "both": make_arm(0.8)[0]}}, "'real' must be bool"),
        ({"correct": {"real": make_arm(0.8), "both": make_arm(0.8) * 1.0}}, "'both' must be bool"),
        ({"kinds": {"real": "baseline"}}, "'both'"),
        ({"validation": {"real": 0.8, "both": float("nan")}}, "validation"),
        ({"labels": LABELS[:10]}, "must be bool"),
        ({"labels": LABELS * 1.0}, "labels"),
        ({"class_names": CLASSES[:2]}, "labels"),
        ({"aliases": {"both": "real"}}, "alias"),
        ({"aliases": {"oversampled": "reel"}}, "alias"),
        ({"generators": [0, 1, 2]}, "each of the 5 seeds"),
        ({"look": 2}, "look 2 of 1"),
        ({"looks": 3}, "look 1 of 3"),
    ],
)
def test_inputs_that_do_not_fit_together_are_refused(change: dict[str, Any], message: str) -> None:
    fine: dict[str, Any] = {"correct": {"real": make_arm(0.8), "both": make_arm(0.8)}}
    with pytest.raises(ValueError, match=message):
        judge(**(fine | change))
