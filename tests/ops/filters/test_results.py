"""The stage's outputs are read back, and the same rules apply to generated and held-out images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from ops.errors import DamagedData
from ops.files.outputs import ROUNDS
from ops.files.storage import write_json
from ops.filters.results import AppliedRule, Results, read_results
from tests.filtering import make_held_out, make_index, make_rule, write_results

NAMES = ("cat", "dog")


@pytest.fixture
def results(tmp_path: Path) -> Results:
    reasons = [[]] * 30 + [["near_copy_of_train"]] * 4 + [["wrong_label"]] * 6 + [["surplus"]] * 10
    write_results(
        tmp_path / "accepted", tmp_path / "plan", make_index(reasons, [row % 2 for row in range(50)]),
        make_held_out([0] * 30 + [1] * 10), NAMES, (15, 16), stopped=["quota", "rounds"],
        rules=[make_rule("wrong_label", 0.5, 2), make_rule("near_copy_of_train", 0.45, 2, real_rejected=[0.02, 0.06])],
    )  # fmt: skip
    return read_results(tmp_path / "accepted", tmp_path / "plan")


def test_the_funnel_and_the_rules_are_read_back(results: Results) -> None:
    assert (results.funnel.total.drawn, results.funnel.total.accepted, results.funnel.missing) == (50, 30, 1)
    assert results.stopped == ("quota", "rounds") and results.held_out_counts == [30, 10]
    near = results.rules[1]
    assert near.thresholds == (0.45, 0.45)
    assert near.reject_real(results.held_out_counts) == pytest.approx((0.02 * 30 + 0.06 * 10) / 40)
    assert results.find_limits("near_copy_of_train") == (0.45, 0.45) and results.find_limits("blank") == (None, None)
    assert not results.is_safety_checked


def test_both_sides_of_the_test_for_copying_pass_the_rules_of_quality(results: Results) -> None:
    whole = results.copying.whole
    assert whole.generated == 44, "near copies and surplus count, wrong labels do not"
    doubted = (results.held_out["label_probability"] < 0.5).sum()
    assert doubted and whole.held_out == 40 - doubted
    assert whole.near_generated is not None and whole.near_generated.estimate == pytest.approx(4 / 44)


def test_a_rule_is_broken_on_its_side_of_its_classes_threshold() -> None:
    scores = pl.DataFrame({"label": [0, 0, 1, 1, 0], "structure": [0.1, 0.3, 0.3, 0.0, None]})
    rule = AppliedRule.from_dict(make_rule("blank", None, 2, thresholds=[0.2, None]))
    assert rule.find_broken(scores).tolist() == [True, False, False, False, False]
    above = AppliedRule.from_dict(make_rule("blank", None, 2, thresholds=[0.2, 0.1], side="above"))
    assert above.find_broken(scores).tolist() == [False, True, True, False, False]
    assert not np.any(AppliedRule.from_dict(make_rule("unsafe", 0.5, 2)).find_broken(scores)), "no such column"
    assert AppliedRule.from_dict(make_rule("blank", 0.1, 2, real_rejected=[None, None])).reject_real([3, 4]) is None


def test_a_rule_in_rules_json_needs_all_fields_and_may_have_more() -> None:
    entry = make_rule("blank", 0.2, 2)
    assert AppliedRule.from_dict(entry | {"since": 3}) == AppliedRule.from_dict(entry)
    del entry["side"]
    with pytest.raises(KeyError, match="side"):
        AppliedRule.from_dict(entry)


def test_results_tell_whether_safety_was_checked(results: Results) -> None:
    index = results.index.with_columns(unsafe_probability=pl.lit(0.1))
    assert Results(index, results.held_out, results.rules, results.stopped, results.plan).is_safety_checked


def test_results_tell_how_many_images_the_generators_own_checker_flagged(results: Results) -> None:
    assert results.flagged is None and results.flagged_sentence is None
    index = results.index.with_columns(flagged=pl.int_range(pl.len()) < 5)
    flagged = Results(index, results.held_out, results.rules, results.stopped, results.plan)
    assert flagged.is_safety_checked and flagged.to_dict()["flagged_by_checker"] == 5
    assert flagged.flagged_sentence == "the generator's own safety checker flagged 5 of 50 drawn images (10.0 %)"


def test_files_that_do_not_fit_each_other_are_damaged(results: Results, tmp_path: Path) -> None:
    write_json(tmp_path / "accepted" / ROUNDS, {"rounds": [], "stopped": ["quota"]})
    with pytest.raises(DamagedData, match=r"rounds\.json is of 1 classes, the plan of 2"):
        read_results(tmp_path / "accepted", tmp_path / "plan")
