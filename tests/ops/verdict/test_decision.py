"""The three decisions on constructed data, who meets whom, and what the verdict tells a reader."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from ops.errors import UserError
from ops.verdict.bootstrap import BoolArray
from ops.verdict.decision import Kind, Verdict, decide

SEEDS, IMAGES = 5, 1000
LABELS = np.arange(IMAGES) % 4
CLASSES = ["boot", "coat", "hat", "scarf"]
KINDS: dict[str, Kind] = {"real": "baseline", "mixup": "baseline", "expanded": "expanded", "both": "expanded"}
VALIDATION = {"real": 0.80, "mixup": 0.82, "expanded": 0.83, "both": 0.85}


def make_arm(accuracy: float, seed: int = 0, seeds: int = SEEDS, images: int = IMAGES) -> BoolArray:
    """Arms made with one seed are nested: the better one is right wherever the worse one is."""
    draws = np.random.default_rng(seed).random((seeds, images))
    return draws < accuracy


def decide_between(accuracies: dict[str, float], **options: Any) -> Verdict:
    correct = {name: make_arm(accuracy) for name, accuracy in accuracies.items()}
    settings: dict[str, Any] = {"validation": VALIDATION, "resamples": 1000} | options
    return decide(correct, KINDS, labels=LABELS, class_names=CLASSES, **settings)


def test_a_clear_gain_helps() -> None:
    verdict = decide_between({"real": 0.78, "mixup": 0.80, "expanded": 0.82, "both": 0.86})
    assert (verdict.decision, verdict.challenger, verdict.baseline) == ("helps", "both", "mixup")
    gap = next(c for c in verdict.contrasts if c.role == "decisive").difference
    assert verdict.sentence == (
        "Expansion helps: both beats mixup, the best arm without generated data, by "
        f"{100 * gap.estimate:.1f} points (95 % interval {100 * gap.low:.1f} to {100 * gap.high:.1f}) "
        "on 1,000 test images over 5 seeds, for this generated set."
    )


def test_a_clear_loss_hurts_and_is_told_as_a_positive_loss() -> None:
    verdict = decide_between({"real": 0.78, "mixup": 0.86, "expanded": 0.82, "both": 0.80}, generators=3)
    gap = next(c for c in verdict.contrasts if c.role == "decisive").difference
    assert verdict.decision == "hurts" and gap.high < 0
    assert verdict.sentence == (
        "Expansion hurts: both loses to mixup, the best arm without generated data, by "
        f"{-100 * gap.estimate:.1f} points (95 % interval {-100 * gap.high:.1f} to {-100 * gap.low:.1f}) "
        "on 1,000 test images over 5 seeds, across 3 generated sets."
    )


def test_a_difference_within_the_noise_is_no_evidence() -> None:
    correct = {name: make_arm(0.8, seed) for seed, name in enumerate(KINDS)}
    verdict = decide(correct, KINDS, VALIDATION, LABELS, CLASSES, resamples=1000)
    gap = next(c for c in verdict.contrasts if c.role == "decisive").difference
    assert verdict.decision == "no evidence" and gap.low < 0 < gap.high
    least = verdict.smallest_detectable_effect
    assert least is not None and least == pytest.approx(2.8016 * gap.standard_error, rel=1e-4)
    assert verdict.sentence.startswith("No evidence either way: both differs from mixup, ")
    assert f"; a true difference below {100 * least:.2g} points would be missed" in verdict.sentence


def test_beating_the_best_baseline_but_not_real_is_no_evidence() -> None:
    verdict = decide_between({"real": 0.86, "mixup": 0.80, "expanded": 0.80, "both": 0.86})
    assert verdict.decision == "no evidence"
    roles = {c.role: c for c in verdict.contrasts if c.arm == "both"}
    assert roles["decisive"].difference.low > 0
    assert roles["condition"].against == "real" and roles["condition"].difference.low == 0
    assert "beats mixup" in verdict.sentence
    assert "but against real the difference is 0.0 points (0.0 to 0.0)" in verdict.sentence


def test_validation_chooses_who_meets_and_test_accuracy_does_not() -> None:
    accuracies = {"real": 0.90, "mixup": 0.70, "expanded": 0.95, "both": 0.75}
    verdict = decide_between(accuracies)
    assert (verdict.baseline, verdict.challenger, verdict.chosen_on) == ("mixup", "both", "validation")
    turned = decide_between(accuracies, validation={"real": 0.9, "mixup": 0.8, "expanded": 0.9, "both": 0.8})
    assert (turned.baseline, turned.challenger) == ("real", "expanded")


def test_equal_arms_differ_by_exactly_zero() -> None:
    verdict = decide_between({"real": 0.8, "mixup": 0.8, "expanded": 0.8, "both": 0.8})
    assert verdict.decision == "no evidence"
    for contrast in verdict.contrasts:
        gap = contrast.difference
        assert (gap.estimate, gap.low, gap.high, gap.standard_error) == (0.0, 0.0, 0.0, 0.0)
    assert verdict.smallest_detectable_effect is None
    assert "by 0.0 points (95 % interval 0.0 to 0.0)" in verdict.sentence and "missed" not in verdict.sentence


def test_every_expanded_arm_meets_the_baseline_and_real_and_one_meeting_decides() -> None:
    verdict = decide_between({"real": 0.78, "mixup": 0.80, "expanded": 0.82, "both": 0.86})
    assert [(c.arm, c.against, c.role) for c in verdict.contrasts] == [
        ("expanded", "mixup", "exploratory"),
        ("expanded", "real", "exploratory"),
        ("both", "mixup", "decisive"),
        ("both", "real", "condition"),
    ]
    only_real = decide_between({"real": 0.78, "both": 0.86})
    assert [(c.against, c.role) for c in only_real.contrasts] == [("real", "decisive")]
    assert only_real.decision == "helps"


def test_aliases_appear_in_the_table_beside_the_arm_that_they_equal() -> None:
    verdict = decide_between({"real": 0.78, "both": 0.86}, aliases={"oversampled": "real"})
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
    correct = {"real": right, "both": right}
    verdict = decide(correct, KINDS, VALIDATION, labels, ["often", "rare"], resamples=1000)
    row = verdict.arms[0]
    assert row.per_seed == [1.0, 0.9, 0.9, 0.9, 0.9]
    assert row.accuracy.estimate == pytest.approx(0.92)
    assert row.balanced_accuracy.estimate == pytest.approx((1.0 + 0.2) / 2)
    assert row.accuracy.low <= row.accuracy.estimate <= row.accuracy.high


def test_classes_are_compared_and_the_worst_is_named() -> None:
    old, new = make_arm(0.8), make_arm(0.9)
    new[:, LABELS == 2] = old[:, LABELS == 2] & make_arm(0.8, seed=9)[:, LABELS == 2]
    verdict = decide({"real": old, "both": new}, KINDS, VALIDATION, LABELS, [*CLASSES, "never seen"], resamples=1000)
    assert verdict.worst_class == "hat"
    by_name = {row.name: row for row in verdict.per_class}
    hat, boot, unseen = by_name["hat"], by_name["boot"], by_name["never seen"]
    assert hat.images == 250 and hat.difference is not None and hat.difference.high < 0
    assert boot.difference is not None and boot.difference.low > 0
    assert (unseen.images, unseen.baseline, unseen.difference) == (0, None, None)


def test_one_seed_is_allowed_and_said() -> None:
    correct = {"real": make_arm(0.8, seeds=1), "both": make_arm(0.9, seeds=1)}
    verdict = decide(correct, KINDS, VALIDATION, LABELS, CLASSES, resamples=1000)
    assert verdict.decision == "helps" and verdict.seeds == 1
    assert "over 1 seed, " in verdict.sentence
    assert verdict.sentence.endswith("; one seed: seed-to-seed variation is not measured.")


def test_small_bounds_keep_enough_decimals_to_show_their_sign() -> None:
    correct = {"real": make_arm(0.80, images=200_000), "both": make_arm(0.8003, images=200_000)}
    labels = np.zeros(200_000, dtype=int)
    verdict = decide(correct, KINDS, VALIDATION, labels, ["all"], resamples=400)
    assert verdict.decision == "helps"
    assert "interval 0.0 " not in verdict.sentence and " by 0.03 points" in verdict.sentence


def test_the_verdict_is_strict_json_and_repeats() -> None:
    accuracies = {"real": 0.78, "mixup": 0.80, "expanded": 0.82, "both": 0.86}
    first, again = decide_between(accuracies, seed=3).to_dict(), decide_between(accuracies, seed=3).to_dict()
    assert first == again == json.loads(json.dumps(first, allow_nan=False))
    assert set(first) == {
        "decision", "sentence", "confidence", "resamples", "challenger", "baseline", "chosen_on", "arms",
        "contrasts", "per_class", "worst_class", "smallest_detectable_effect", "seeds", "test_images",
    }  # fmt: skip
    assert first["sentence"].isascii()


@pytest.mark.parametrize(
    ("arms", "options", "message"),
    [
        (["real", "mixup"], {}, "with generated images"),
        (["mixup", "both"], {}, "'real'"),
        (["expanded", "both"], {}, "'real'"),
        (["real", "both"], {"resamples": 100}, "at least 400"),
        (["real", "both"], {"confidence": 1.0}, "confidence"),
    ],
)
def test_what_a_user_can_get_wrong_is_a_user_error(arms: list[str], options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        decide_between(dict.fromkeys(arms, 0.8), **options)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"correct": {"real": make_arm(0.8), "both": make_arm(0.8, seeds=4)}}, "one shape"),
        ({"correct": {"real": make_arm(0.8)[0], "both": make_arm(0.8)[0]}}, "one shape"),
        ({"kinds": {"real": "baseline"}}, "'both'"),
        ({"validation": {"real": 0.8, "both": float("nan")}}, "validation"),
        ({"labels": LABELS[:10]}, "labels"),
        ({"class_names": CLASSES[:2]}, "labels"),
        ({"aliases": {"both": "real"}}, "alias"),
        ({"aliases": {"oversampled": "reel"}}, "alias"),
    ],
)
def test_inputs_that_do_not_fit_together_are_refused(change: dict[str, Any], message: str) -> None:
    fine: dict[str, Any] = {
        "correct": {"real": make_arm(0.8), "both": make_arm(0.8)},
        "kinds": KINDS,
        "validation": VALIDATION,
        "labels": LABELS,
        "class_names": CLASSES,
    }
    with pytest.raises(ValueError, match=message):
        decide(**(fine | change))
