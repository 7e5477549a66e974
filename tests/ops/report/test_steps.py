"""What would help most: rows from answers that exist, their order, the sentence, and no figure where none is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ops.report.steps import Measured, rank_steps
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
MORE = {"labels": 250, "gain": {"estimate": 0.015, "low": 0.005, "high": 0.03}}


def answer(right: int) -> np.ndarray:
    """Two networks that are right on the first so many of 400 images."""
    return np.tile(np.arange(400) < right, (2, 1))


def rank(**changes: Any) -> tuple[str, dict[str, dict[str, Any]]]:
    facts: dict[str, Any] = {
        "verdict": make_verdict() | {"curve": make_curve()}, "correct": {arm: answer(n) for arm, n in RIGHT.items()},
        "labels": np.arange(400) % 4, "baselines": BASELINES, "worth": {"more_labels": MORE}, "suspects": 7,
        "has_prior": False, "seconds": 1800.0, "prices": Prices("EUR", 0.1, 1.2),
    }  # fmt: skip
    found = rank_steps(Measured(**{**facts, **changes}))
    return found["sentence"], {row["name"]: row for row in found["rows"]}


def test_each_row_changes_one_thing_and_has_the_difference_of_stored_answers() -> None:
    rows = rank()[1]
    augmented = rows["augmentation: auto instead of none"]
    assert augmented["state"] == "taken" and augmented["gain"]["estimate"] == pytest.approx(60 / 400)
    mixed = rows["mixing images: mixup"]
    assert mixed["state"] == "open" and mixed["gain"]["estimate"] == pytest.approx(8 / 400)
    assert mixed["gain"]["low"] < 0.02 < mixed["gain"]["high"] and "train as mixed" in mixed["how"]
    decisive = next(row for row in make_verdict()["contrasts"] if row["role"] == "decisive")
    assert rows["generated images"]["gain"]["low"] == decisive["difference"]["low"]
    assert rows["generated images"]["cost"] == "30 min to make, 0.60 EUR"
    assert rows["half as many labels again"]["cost"] == "250 labels, 25.00 EUR"
    assert rows["flipped, ensemble of 5"]["cost"] == "5 evaluations of each image"


def test_an_ingredient_without_a_counterpart_is_measured_by_other_arms_that_differ_in_it_alone() -> None:
    verdict = make_verdict() | {"baseline": "mixed"}
    row = rank(verdict=verdict)[1]["augmentation: auto instead of none"]
    assert row["gain"]["estimate"] == pytest.approx(60 / 400) and row["state"] == "taken"
    assert row["how"] == "mixed has it; measured as flipped against real"


def test_open_rows_come_first_the_largest_gain_on_top() -> None:
    sentence, rows = rank()
    states = [row["state"] for row in rows.values()]
    assert states == sorted(states, key=["open", "taken", "not measured"].index)
    gains = [row["gain"]["estimate"] for row in rows.values() if row["state"] == "open"]
    assert gains == sorted(gains, reverse=True)
    best = next(row for row in rows.values() if row["gain"]["low"] > 0)
    assert sentence.startswith(f"The best next step of those that were measured: {best['name']}, +")


def test_what_was_not_measured_has_no_figure_and_says_what_would_measure_it() -> None:
    rows = rank(worth={"more_labels": None}, verdict=make_verdict())[1]
    for name in ("half as many labels again", "longer training"):
        assert name not in rows or rows[name]["gain"] is None
    for row in rows.values():
        assert (row["gain"] is None) == (row["state"] == "not measured") and row["how"]
    assert "growset plan NAME --learning-curve" in rows["longer training"]["how"]
    assert "7 labels to look at, 0.70 EUR" in rows["mended labels"]["cost"]
    assert "a prior" in rows and "a prior" not in rank(has_prior=True)[1]
    assert "mended labels" not in rank(suspects=0)[1], "no label looks wrong"
    alone = rank(correct={"flipped": answer(360)})[1]
    assert alone["augmentation: auto instead of none"]["gain"] is None
    assert "an arm like flipped with augmentation: none" in alone["augmentation: auto instead of none"]["how"]
    assert alone["mixing images"]["state"] == "not measured"


def test_the_last_doubling_of_the_steps_is_the_baselines_already() -> None:
    row = rank()[1]["60 steps instead of 30"]
    assert row["state"] == "taken" and row["where"] == "validation"
    assert row["gain"]["high"] - row["gain"]["low"] == pytest.approx(2 * 1.959964 * 0.01, rel=1e-4)


def test_without_a_shown_gain_nothing_is_recommended() -> None:
    unsure = {"labels": 250, "gain": {"estimate": 0.01, "low": -0.01, "high": 0.03}}
    verdict = make_verdict()
    verdict["contrasts"] = [verdict["contrasts"][0] | {"difference": make_interval(0.0)}]
    same = {arm: answer(360) for arm in RIGHT}
    verdict["same_compute"] = [row | {"over_baseline": make_interval(0.0)} for row in verdict["same_compute"]]
    sentence = rank(verdict=verdict, correct=same, worth={"more_labels": unsure})[0]
    assert sentence == (
        "Nothing that was measured here is shown to gain over the picked baseline; largest by its estimate is half as"
        " many labels again, +1.0 (−1.0 to +3.0) points; not measured yet: longer training, mended labels, a prior."
    )


def test_an_unused_generator_leaves_a_row_without_a_figure() -> None:
    row = rank(verdict=make_verdict() | {"contrasts": [], "challenger": None})[1]["generated images"]
    assert row["gain"] is None and row["state"] == "not measured"
