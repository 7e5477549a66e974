"""Arms that are left out after one training: the paired error by its formula, who stays, how often by mistake."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ops.classifiers.racing import find_hopeless, pack_bits, race, unpack_bits
from ops.recipe.arms import Arm
from ops.recipe.automatic import leave_out_generated
from ops.recipe.pool_arms import list_seeing

LABELS = np.repeat([0, 1], [30, 10])
GOOD = np.ones(40, dtype=bool)
BAD = np.arange(40) % 2 == 0  # half of each class


def test_the_gap_and_its_error_are_those_of_paired_answers() -> None:
    (left,) = find_hopeless({"good": GOOD, "bad": BAD}, LABELS, "accuracy", errors=2.0, kept=()).values()
    gaps = GOOD.astype(float) - BAD
    assert left.against == "good" and (left.validation, left.behind) == pytest.approx((0.5, 0.5))
    assert left.standard_error == pytest.approx(gaps.std() / np.sqrt(40))


def test_images_that_are_one_draw_count_once() -> None:
    answers = {"good": GOOD, "bad": BAD}
    (once,) = find_hopeless(answers, LABELS, "accuracy", errors=2.0, kept=()).values()
    copied = {arm: np.repeat(each, 4) for arm, each in answers.items()}
    (again,) = find_hopeless(
        copied, np.repeat(LABELS, 4), "accuracy", errors=2.0, kept=(), units=np.repeat(np.arange(40), 4)
    ).values()
    one_more = 1 / 40  # a draw more that differs as much as the most different one
    assert again.behind == pytest.approx(once.behind)
    assert again.standard_error == pytest.approx(np.hypot(once.standard_error, one_more))


def test_few_groups_leave_no_arm_out() -> None:
    """A single patient's images say nothing of another's, however many they are."""
    answers = {"good": GOOD, "bad": BAD}
    for groups, left in ((1, []), (3, []), (40, ["bad"])):
        units = np.arange(40) % groups
        found = find_hopeless(answers, LABELS, "accuracy", errors=4.0, kept=(), units=units)
        assert list(found) == left, groups


def test_balanced_accuracy_counts_classes_alike_and_the_worst_class_is_judged_by_it() -> None:
    rare = GOOD & (LABELS == 0)  # every rare image is wrong: a quarter of all, half in balanced accuracy
    for metric, behind in (("accuracy", 0.25), ("balanced_accuracy", 0.5), ("worst_class", 0.5)):
        found = find_hopeless({"good": GOOD, "rare": rare}, LABELS, metric, errors=2.0, kept=())
        assert found["rare"].behind == pytest.approx(behind)


def test_plain_training_teachers_and_the_best_of_each_kind_stay() -> None:
    arms: dict[str, Any] = {
        "real": {}, "teacher": {}, "weak": {}, "best": {"targets": {"kind": "teacher", "of": "teacher"}},
        "sham": {"placebo": "mixed"}, "poor-sham": {"placebo": "augmented"},
    }  # fmt: skip
    read = {name: Arm.model_validate(keys) for name, keys in arms.items()}
    correct = dict.fromkeys(read, BAD) | {"best": GOOD, "poor-sham": np.zeros(40, dtype=bool)}
    assert set(race(read, correct, LABELS, "accuracy", 4.0)) == {"weak", "poor-sham"}
    assert set(race(read, correct, LABELS, "accuracy", 4.0, ["weak"])) == {"poor-sham"}
    assert race(read, correct, LABELS, "accuracy", None) == {}


def test_arms_that_see_a_pool_race_among_themselves() -> None:
    arms: dict[str, Any] = {
        "real": {}, "mixup": {"pairing": "mixup"}, "fix": {"unlabelled": "fixmatch"}, "probe": {"trainer": "probe"},
        "taught": {"targets": {"kind": "teacher", "of": "fix"}},
    }  # fmt: skip
    read = {name: Arm.model_validate(keys) for name, keys in arms.items()}
    correct = {"real": BAD, "mixup": BAD, "fix": GOOD, "probe": BAD, "taught": GOOD}
    seeing = list_seeing(read)
    assert set(race(read, correct, LABELS, "accuracy", 4.0, seeing=seeing)) == {"probe"}
    correct["fix"] = BAD  # the taught one is the best now, and still none beside which `mixup` is judged
    assert set(race(read, correct, LABELS, "accuracy", 4.0, seeing=seeing)) == {"probe"}, "a teacher stays"


def test_arms_that_the_controller_left_without_images_race_among_themselves() -> None:
    """An arm with images is far behind such a one, and the only one that can show what they are worth."""
    arms = {"mixed": Arm(), "plain": leave_out_generated(Arm()), "poor": leave_out_generated(Arm())}
    correct = {"mixed": BAD, "plain": GOOD, "poor": BAD}
    assert set(race(arms, correct, LABELS, "accuracy", 4.0)) == {"poor"}


def test_equal_arms_are_almost_never_left_out() -> None:
    rng = np.random.default_rng(0)
    lost = sum(
        bool(
            find_hopeless(
                {a: rng.random(200) < 0.8 for a in "abcdef"}, np.zeros(200, int), "accuracy", errors=4.0, kept=()
            )
        )
        for _ in range(300)
    )
    assert lost <= 2


def test_answers_are_kept_as_text() -> None:
    for count in (1, 8, 13):
        answers = np.random.default_rng(count).random(count) < 0.5
        assert np.array_equal(unpack_bits(pack_bits(answers)), answers)
