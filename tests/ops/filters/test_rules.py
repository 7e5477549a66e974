"""The rules: each reason from its own score, exact faults before near ones, and thresholds that held-out images set."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ops.filters.reasons import REASONS, SURPLUS
from ops.filters.rules import RULES, Columns, count_passing, decide, find_reasons, set_limits
from ops.recipe.filtering import FilterSettings
from ops.settings.cut import Cut

OFF = FilterSettings(**{key: None for key in FilterSettings.model_fields})


def make_scores(count: int, **changes: object) -> dict[str, np.ndarray]:
    """Scores that break no rule, [count] each, except in the rows of `changes` (column: {row: value})."""
    scores = {
        rule.score: np.zeros(count, bool) if rule.side is None else np.full(count, 5.0 if rule.side == "below" else 0.0)
        for rule in RULES
    }
    for column, rows in changes.items():
        for row, value in rows.items():  # type: ignore[attr-defined]
            scores[column][row] = value
    return scores


def judge(scores: Columns, labels: np.ndarray, wanted: list[int], chosen: FilterSettings) -> list[list[str]]:
    real = {name: np.full(50, 4.0) for name in make_scores(0)} | {"saturation": np.full(50, 0.5)}
    limits = set_limits(real, np.arange(50) % len(wanted), len(wanted), chosen)
    return decide(find_reasons(scores, labels, limits), labels, wanted)


def test_every_fault_gets_its_own_reason_and_clean_images_are_kept() -> None:
    faults = {
        "blank": ("structure", 0.0), "saturated": ("saturation", 0.9), "wrong_label": ("label_probability", 0.1),
        "atypical": ("typicality", -3.0), "copy_of_train": ("copy_of_train", True),
        "near_copy_of_train": ("train_distance", 0.1), "near_copy_of_parent": ("parent_distance", 0.1),
        "copy_of_held_out": ("copy_of_held_out", True),
        "near_copy_of_held_out": ("held_out_distance", 0.1), "repeat": ("repeat", True),
        "near_repeat": ("generated_distance", 0.1),
    }  # fmt: skip
    assert list(dict.fromkeys(rule.reason for rule in RULES)) == list(REASONS)
    assert set(faults) == set(REASONS) - {"unsafe", "clip_disagrees"}  # these need external networks
    scores = make_scores(len(faults) + 2)
    for row, (column, value) in enumerate(faults.values()):
        scores[column][row] = value
    reasons = judge(scores, np.zeros(len(faults) + 2, int), [1], FilterSettings(near_parent=Cut(real_rejected=0.01)))
    assert reasons == [*([reason] for reason in faults), [], [SURPLUS]]


def test_an_exact_copy_is_not_also_a_near_copy() -> None:
    scores = make_scores(
        3,
        copy_of_train={0: True}, train_distance={0: 0.0},
        copy_of_held_out={1: True}, held_out_distance={1: 0.0},
        repeat={2: True}, generated_distance={2: 0.0}, label_probability={2: 0.0},
    )  # fmt: skip
    reasons = judge(scores, np.zeros(3, int), [3], FilterSettings())
    assert reasons == [["copy_of_train"], ["copy_of_held_out"], ["wrong_label", "repeat"]]


def test_two_rules_of_one_reason_split_its_share_of_real_images() -> None:
    scores = {"typicality": -np.arange(999.0), "naturalness": -np.arange(999.0)[::-1]}
    chosen = OFF.model_copy(update={"atypical": Cut(real_rejected=0.1)})
    limits = set_limits(scores, np.zeros(999, int), 1, chosen)
    assert [limit.rule.score for limit in limits] == ["typicality", "naturalness"]
    found = find_reasons(make_scores(0) | {name: np.full(1, False) for name in ("copy_of_train",)} | scores | {
        rule.score: np.zeros(999, bool) for rule in RULES if rule.side is None
    }, np.zeros(999, int), limits)["atypical"]  # fmt: skip
    assert found[-49:].all() and found[:49].all() and found.sum() == 98  # 49 each, the ranks 1 to 49 of 50
    fixed = set_limits(scores, np.zeros(999, int), 1, OFF.model_copy(update={"atypical": Cut(threshold=-3.0)}))
    assert [limit.rule.score for limit in fixed] == ["typicality"]


def test_the_threshold_of_wrong_label_is_never_below_chance() -> None:
    # A scorer that gives real images less than chance for their own label: four classes, a tenth each.
    scores, labels = np.full(400, 0.1), np.arange(400) % 4
    chosen = OFF.model_copy(update={"wrong_label": Cut(real_rejected=0.05)})
    (limit,) = set_limits({"label_probability": scores}, labels, 4, chosen)
    assert limit.thresholds.values.tolist() == [0.25] * 4
    assert limit.thresholds.real_rejected.tolist() == [1.0] * 4  # and it is reported
    (off,) = set_limits(
        {"label_probability": scores}, labels, 4, OFF.model_copy(update={"wrong_label": Cut(real_rejected=0)})
    )
    assert np.isnan(off.thresholds.values).all()


def test_rules_that_are_off_reject_nothing_but_exact_copies_always_count() -> None:
    scores = make_scores(3, label_probability={0: 0.0}, train_distance={1: 0.0}, repeat={2: True})
    assert judge(scores, np.zeros(3, int), [3], OFF) == [[], [], ["repeat"]]


def test_a_missing_score_rejects_nothing() -> None:
    scores = make_scores(1, typicality={0: np.nan})
    assert judge(scores, np.zeros(1, int), [1], FilterSettings()) == [[]]


def test_each_class_has_its_own_threshold_also_in_to_dict() -> None:
    labels = np.repeat([0, 1], 99)
    real = {"label_probability": np.concatenate([np.arange(99), 100 + np.arange(99)]).astype(float)}
    settings_ = OFF.model_copy(update={"wrong_label": Cut(real_rejected=0.1)})
    (limit,) = set_limits(real, labels, 2, settings_)
    assert limit.to_dict() == {
        "reason": "wrong_label", "score": "label_probability", "side": "below", "calibrated": True,
        "thresholds": [9.0, 109.0], "pooled": [False, False], "calibration_images": [99, 99],
        "real_rejected": [round(9 / 99, 6)] * 2,
    }  # fmt: skip
    found = find_reasons(make_scores(2, label_probability={0: 50.0, 1: 50.0}), np.array([0, 1]), [limit])
    assert found["wrong_label"].tolist() == [False, True]


def test_the_audit_is_calibrated_by_training_distances_alone() -> None:
    real = {"train_distance": np.arange(99.0), "held_out_distance": np.full(99, 1e9)}
    chosen = OFF.model_copy(update={"near_copy": Cut(real_rejected=0.05)})
    train, held_out = set_limits(real, np.zeros(99, int), 1, chosen)
    assert (train.rule.reason, held_out.rule.reason) == ("near_copy_of_train", "near_copy_of_held_out")
    assert train.thresholds.values.tolist() == held_out.thresholds.values.tolist() == [4.0]


def test_a_fixed_threshold_needs_no_real_image() -> None:
    chosen = OFF.model_copy(update={"wrong_label": Cut(threshold=0.3)})
    (limit,) = set_limits({"label_probability": np.empty(0)}, np.empty(0, int), 2, chosen)
    assert limit.to_dict()["thresholds"] == [0.3, 0.3]
    assert limit.to_dict()["real_rejected"] == [None, None]
    assert not limit.calibrated


@given(
    st.lists(st.tuples(st.integers(0, 2), st.booleans()), max_size=40),
    st.lists(st.integers(0, 9), min_size=3, max_size=3),
)
@settings(max_examples=50, deadline=None)
def test_kept_images_are_the_first_passing_ones_up_to_the_quota(
    rows: list[tuple[int, bool]], wanted: list[int]
) -> None:
    labels = np.array([label for label, _ in rows], int)
    found = {"wrong_label": np.array([not good for _, good in rows], bool)}
    reasons = decide(found, labels, wanted)
    passing = count_passing(found, labels, 3)
    for label in range(3):
        own = [why for why, (other, _) in zip(reasons, rows, strict=True) if other == label]
        kept = [why for why in own if not why]
        assert len(kept) == min(wanted[label], passing[label])
        good = [why for why in own if why != ["wrong_label"]]
        assert good == [[]] * len(kept) + [[SURPLUS]] * (len(good) - len(kept))


def test_without_images_there_are_no_reasons() -> None:
    assert judge(make_scores(0), np.empty(0, int), [0, 0], FilterSettings()) == []


@pytest.mark.parametrize("value", [{}, {"real_rejected": 0.1, "threshold": 0.5}, 1.5, -0.1, True, "much"])
def test_a_recipe_gives_a_share_or_a_threshold(value: object) -> None:
    with pytest.raises(ValueError, match="real_rejected|share of real images|dictionary"):
        FilterSettings.model_validate({"wrong_label": value})


def test_nearness_to_the_parent_is_rejected_only_if_the_recipe_has_the_rule() -> None:
    real = {"train_distance": np.arange(99.0)}
    assert not set_limits(real, np.zeros(99, int), 1, OFF.model_copy(update={"near_parent": None}))
    near = {**make_scores(3, parent_distance={0: 0.0, 1: 3.0})}
    for cut, expected in ((None, []), (Cut(threshold=1.0), [0]), (Cut(real_rejected=0.05), [0, 1])):
        limits = set_limits(real, np.zeros(99, int), 1, OFF.model_copy(update={"near_parent": cut}))
        found = find_reasons(near, np.zeros(3, int), limits)
        rejected = np.flatnonzero(found.get("near_copy_of_parent", np.zeros(3, bool)))
        assert rejected.tolist() == expected
        assert not any(found[reason].any() for reason in found if reason != "near_copy_of_parent")


def test_quotas_are_filled_unit_by_unit() -> None:
    units = np.array([1, 0, 1, 1, 2])
    found = {"repeat": np.array([True, False, False, False, False])}
    assert count_passing(found, units, 4).tolist() == [1, 2, 1, 0]
    assert decide(found, units, [1, 1, 0, 5]) == [["repeat"], [], [], [SURPLUS], [SURPLUS]]


def test_an_image_that_the_generator_flags_is_unsafe_whatever_the_recipe_says() -> None:
    scores = make_scores(3, flagged={1: True}, unsafe_probability={2: 0.9})
    assert judge(scores, np.zeros(3, int), [3], OFF) == [[], ["unsafe"], []]
    without = {name: values for name, values in scores.items() if name != "flagged"}
    assert judge(without, np.zeros(3, int), [3], OFF) == [[], [], []]
