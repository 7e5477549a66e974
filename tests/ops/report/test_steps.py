"""What would help most: rows from answers that exist, their order, the sentence, and no figure where none is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ops.report.steps import NOTES, ORDER, Measured, rank_steps
from ops.verdict.comparison import Comparison
from ops.verdict.estimate import find_critical
from ops.verdict.worth.money import Prices
from tests.reports import make_curve, make_interval, make_verdict

NONE, AUTO, MIXUP = {"kind": "none"}, {"kind": "auto"}, {"kind": "mixup", "alpha": 0.2}
BASELINES = {
    "real": {"augmentation": NONE, "pairing": NONE, "loss": "plain"},
    "flipped": {"augmentation": AUTO, "pairing": NONE, "loss": "plain"},
    "mixed": {"augmentation": AUTO, "pairing": MIXUP, "loss": "plain"},
    "focal": {"augmentation": AUTO, "pairing": NONE, "loss": "focal"},
}
RIGHT = {"real": 300, "flipped": 360, "mixed": 368, "grown": 364}
DF = 12.0  # of `make_interval`
MORE = {"labels": 250, "gain": {"estimate": 0.015, "low": 0.005, "high": 0.03}}


def answer(right: int) -> np.ndarray:
    """Two networks that are right on the first so many of 400 images."""
    return np.tile(np.arange(400) < right, (2, 1))


def rank(**changes: Any) -> tuple[str, dict[str, dict[str, Any]]]:
    facts: dict[str, Any] = {
        "verdict": make_verdict() | {"curve": make_curve()}, "correct": {arm: answer(n) for arm, n in RIGHT.items()},
        "labels": np.arange(400) % 4, "units": None, "baselines": BASELINES, "worth": {"more_labels": MORE},
        "suspects": 7, "has_prior": False, "seconds": 1800.0, "prices": Prices("EUR", 0.1, 1.2),
    }  # fmt: skip
    found = rank_steps(Measured(**{**facts, **changes}))
    return found["sentence"], {row["name"]: row for row in found["rows"]}


def test_each_row_changes_one_thing_and_has_the_difference_of_stored_answers() -> None:
    rows = rank()[1]
    augmented = rows["augmentation: auto against none"]
    assert augmented["state"] == "taken" and augmented["gain"]["estimate"] == pytest.approx(60 / 400)
    mixed = rows["mixing images: mixup"]
    assert mixed["state"] == "not picked" and mixed["gain"]["estimate"] == pytest.approx(8 / 400)
    assert mixed["gain"]["low"] < 0.02 < mixed["gain"]["high"] and "mixed has it" in mixed["how"]
    assert "train as grown" in rows["generated images"]["how"]
    assert rows["generated images"]["cost"] == "30 min to make, 0.60 EUR"
    assert rows["half as many labels again"]["cost"] == "250 labels, 25.00 EUR"
    assert rows["flipped, ensemble of 5"]["cost"] == "5 evaluations of each image"


def test_an_ingredient_without_a_counterpart_is_measured_by_other_arms_that_differ_in_it_alone() -> None:
    verdict = make_verdict() | {"baseline": "mixed"}
    row = rank(verdict=verdict)[1]["augmentation: auto against none"]
    assert row["gain"]["estimate"] == pytest.approx(60 / 400) and row["state"] == "taken"
    assert row["how"] == "mixed has it; measured as flipped against real"


def test_open_rows_come_first_the_largest_gain_on_top() -> None:
    sentence, rows = rank()
    states = [row["state"] for row in rows.values()]
    assert states == sorted(states, key=list(ORDER).index)
    gains = [row["gain"]["estimate"] for row in rows.values() if row["state"] == "open"]
    assert gains == sorted(gains, reverse=True)
    assert sentence == (
        "The best next step of those that were measured: generated images, +2.0 (+0.7 to +3.3) points, read off the"
        " test images (chosen by them among 3 rows, which its interval allows for; 30 min to make, 0.60 EUR)."
        " Extrapolated, not measured: half as many labels again, +1.5 (+0.5 to +3.0) points (250 labels, 25.00 EUR)."
    )


def test_limits_of_what_the_baseline_lacks_hold_for_all_these_rows_together() -> None:
    rows = rank()[1]
    comparison = Comparison({arm: answer(RIGHT[arm]) for arm in ("mixed", "flipped")}, np.arange(400) % 4)
    third = comparison.differ("mixed", "flipped", "accuracy", tail=0.025 / 3)  # mixing, the ensemble, generated images
    assert rows["mixing images: mixup"]["gain"] == pytest.approx(
        {"estimate": third.estimate, "low": third.low, "high": third.high}
    )
    reach = 0.01 * find_critical(0.025 / 3, DF) / find_critical(0.025, DF)
    assert rows["generated images"]["gain"] == pytest.approx(
        {"estimate": 0.02, "low": 0.02 - reach, "high": 0.02 + reach}
    )
    alone = comparison.differ("mixed", "flipped", "accuracy", tail=0.025)
    own = rank(verdict=make_verdict() | {"contrasts": [], "same_compute": []})[1]["mixing images: mixup"]["gain"]
    assert own["low"] == pytest.approx(alone.low), "one row needs no correction"


def test_a_gain_that_one_row_alone_would_show_is_not_shown_among_several() -> None:
    verdict = make_verdict()
    verdict["contrasts"][0]["difference"] = make_interval(0.011)
    assert rank(verdict=verdict, correct={"flipped": answer(360)})[0].startswith("Nothing that was measured here")
    single = rank(verdict=verdict | {"same_compute": []}, correct={"flipped": answer(360)})[0]
    assert "generated images, +1.1 (+0.1 to +2.1) points" in single and "rows" not in single


def test_an_arm_that_validation_did_not_pick_is_never_the_best_next_step() -> None:
    sentence, rows = rank(correct={arm: answer(n) for arm, n in (RIGHT | {"mixed": 399}).items()})
    mixed = rows["mixing images: mixup"]
    assert mixed["gain"]["low"] > rows["generated images"]["gain"]["estimate"]
    assert NOTES[mixed["state"]] == "not picked by validation" and "generated images, +" in sentence


def test_what_was_extrapolated_is_not_among_what_was_measured() -> None:
    sure = {"labels": 250, "gain": {"estimate": 0.09, "low": 0.08, "high": 0.1}}
    sentence, rows = rank(worth={"more_labels": sure})
    assert rows["half as many labels again"]["state"] == "extrapolated"
    assert rows["half as many labels again"]["gain"] == sure["gain"]
    assert sentence.startswith("The best next step of those that were measured: generated images")


def test_what_was_not_measured_has_no_figure_and_says_what_would_measure_it() -> None:
    rows = rank(worth={"more_labels": None, "enough": True}, verdict=make_verdict())[1]
    assert rows["more labels"]["how"] == "a smaller part in report.worth.shares"
    for name in ("half as many labels again", "longer training"):
        assert name not in rows or rows[name]["gain"] is None
    for row in rows.values():
        assert (row["gain"] is None) == (row["state"] == "not measured") and row["how"]
    assert "growset plan NAME --learning-curve" in rows["longer training"]["how"]
    assert "7 labels to look at, 0.70 EUR" in rows["mended labels"]["cost"]
    assert "a prior" in rows and "a prior" not in rank(has_prior=True)[1]
    assert "mended labels" not in rank(suspects=0)[1], "no label looks wrong"
    alone = rank(correct={"flipped": answer(360)})[1]
    assert alone["augmentation: auto against none"]["gain"] is None
    assert "an arm like flipped with augmentation: none" in alone["augmentation: auto against none"]["how"]
    assert alone["mixing images"]["state"] == "not measured"


def test_without_a_curve_over_labels_the_row_on_labels_says_which_key_would_measure_it() -> None:
    sentence, rows = rank(worth=None)
    assert rows["more labels"]["state"] == "not measured" and "report.worth: {}" in rows["more labels"]["how"]
    assert "Extrapolated" not in sentence


def test_the_last_doubling_of_the_steps_is_the_baselines_already() -> None:
    row = rank()[1]["60 steps instead of 30"]
    assert row["state"] == "taken" and row["where"] == "validation"
    assert row["gain"]["high"] - row["gain"]["low"] == pytest.approx(2 * 1.959964 * 0.01, rel=1e-4)


def test_without_a_shown_gain_nothing_is_recommended() -> None:
    unsure = {"labels": 250, "gain": {"estimate": 0.01, "low": -0.01, "high": 0.03}}
    verdict = make_verdict()
    verdict["contrasts"] = [verdict["contrasts"][0] | {"difference": make_interval(0.001)}]
    same = {arm: answer(360) for arm in RIGHT}
    none = make_interval(0.0)
    verdict["same_compute"] = [row | {"over_baseline": none} for row in verdict["same_compute"]]
    sentence = rank(verdict=verdict, correct=same, worth={"more_labels": unsure})[0]
    assert sentence == (
        "Nothing that was measured here is shown to gain over the picked baseline when 3 rows are judged together;"
        " largest by its estimate is"
        " generated images, +0.1 (−1.2 to +1.4) points on test images; not measured yet:"
        " longer training, mended labels, a prior. Extrapolated, not measured: half as many labels again, +1.0 (−1.0 to"
        " +3.0) points (250 labels, 25.00 EUR)."
    )


def test_an_unused_generator_leaves_a_row_without_a_figure() -> None:
    row = rank(verdict=make_verdict() | {"contrasts": [], "challenger": None})[1]["generated images"]
    assert row["gain"] is None and row["state"] == "not measured"
