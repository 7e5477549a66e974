"""The gains of a verdict as labels: which rows, which sentences, and what a short curve says; in report and card."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pytest

from benchmarks.parts.label_curves import LAWS, Setting, simulate_curve
from ops.report.page import render_page
from ops.verdict.worth.curve import LabelCurve
from ops.verdict.worth.money import Prices
from ops.verdict.worth.result import value_gains
from tests.reports import make_facts, make_verdict

CURVE = simulate_curve(LAWS["power"], Setting(), np.random.default_rng(0))

STEPS = [
    {"name": "more", "state": "extrapolated", "gain": {"estimate": 0.02, "low": 0.01, "high": 0.03},
     "where": "validation", "cost": "500 labels", "how": "label them"},
    {"name": "a prior", "state": "not measured", "gain": None, "where": "test", "cost": "",
     "how": "growset docs priors"},
]  # fmt: skip


def value(curve: LabelCurve = CURVE, prices: Prices | None = None, **changes: Any) -> dict[str, Any]:
    verdict = make_verdict()
    for row in [*verdict["contrasts"], *verdict["same_compute"]]:
        row["difference" if "difference" in row else "over_baseline"] |= {"df": 12.0}
    found = value_gains(
        curve, verdict | changes, what="These 97 generated images", prices=prices or Prices(""), seconds=60.0
    )
    return dict(json.loads(json.dumps(found, allow_nan=False)))


def test_every_gain_over_the_picked_baseline_is_a_row() -> None:
    found, verdict = value(), make_verdict()
    against = [row["arm"] for row in verdict["contrasts"] if row["against"] == "flipped"]
    assert [row["name"] for row in found["rows"]] == [*against, "flipped, ensemble of 5"]
    worth = found["rows"][0]["worth"]
    assert worth["least"] <= worth["low"] <= worth["estimate"] <= worth["high"] <= worth["most"]
    assert found["sentences"][0].startswith("These 97 generated images are worth")
    more = found["more_labels"]
    assert more["labels"] == 500 and 0.0 < more["gain"]["low"] < more["gain"]["estimate"] < more["gain"]["high"]
    assert LAWS["power"](1000) - LAWS["power"](1500) == pytest.approx(more["gain"]["estimate"], abs=0.01)
    assert len(found["law"]["errors_by_size"]) == len(found["curve"]["points"]) == 4
    assert found == value(), "equal results give equal figures"


def test_a_curve_of_two_sizes_says_so_and_gives_no_worth() -> None:
    short = LabelCurve.from_dict({**CURVE.to_dict(), "points": CURVE.to_dict()["points"][2:]})
    found = value(short)
    assert not found["enough"] and found["rows"] == [] and found["law"] is None
    assert found["sentences"] == [
        "No gain is told in labels: the parts of 1,000 labels that the recipe names are 2 different sizes with all of"
        " them, and a curve needs 3."
    ]


def test_without_generated_images_only_other_ways_are_told() -> None:
    found = value(challenger=None, contrasts=[])
    assert [row["name"] for row in found["rows"]] == ["flipped, ensemble of 5"]
    assert found["sentences"][0].startswith("The curve is that of mixup")


def test_prices_add_a_sentence() -> None:
    assert "in all 10 classes, cost" in value(prices=Prices("EUR", 0.1, 1.0))["sentences"][1]


def test_what_the_time_cost_stands_apart_from_what_equal_data_give() -> None:
    found, plain = value(prices=Prices("EUR", None, 1.2)), value()
    assert found["spent"] == "This machine's time to make the images cost 0.02 EUR." and plain["spent"] is None
    assert found == plain | {"spent": found["spent"]}
    assert value(prices=Prices("EUR", None, 1.2), challenger=None, contrasts=[])["spent"] is None


def test_a_gain_that_is_not_told_from_zero_has_neither_a_worth_nor_a_price() -> None:
    contrasts = make_verdict()["contrasts"][:1]
    contrasts[0] |= {"difference": {"estimate": 0.004, "low": -0.004, "high": 0.012, "df": 12.0}}
    sentences = value(prices=Prices("EUR", 0.1, None), contrasts=contrasts)["sentences"]
    assert sentences[0].startswith("These 97 generated images are not shown to be worth any labels")
    assert not any("EUR" in sentence for sentence in sentences)


def test_twice_the_labels_are_told_with_an_interval_and_only_within_reach() -> None:
    told = re.search(r"twice the labels would gain \+(\S+) \(\+(\S+) to \+(\S+)\) points", value()["sentences"][-1])
    assert told is not None
    estimate, low, high = (float(each) / 100.0 for each in told.groups())
    assert low < estimate < high and low < LAWS["power"](1000) - LAWS["power"](2000) < high
    points = CURVE.to_dict()["points"]
    near = [point | {"images": images} for point, images in zip(points, (520, 650, 800, 1000), strict=True)]
    found = value(LabelCurve.from_dict({**CURVE.to_dict(), "points": near}))
    assert "twice the labels" not in " ".join(found["sentences"]) and found["more_labels"] is not None


def test_an_arm_with_a_teacher_is_read_off_another_curve_and_says_so() -> None:
    found = value(LabelCurve.from_dict({**CURVE.to_dict(), "picked": "taught"}))
    assert "is that of mixup, because the teacher of taught saw all labels, trained" in found["sentences"][-1]


def test_a_curve_that_no_law_fits_says_that_its_errors_were_enlarged() -> None:
    bent = simulate_curve(LAWS["arc tangent"], Setting(images=10_000, spread=0.002), np.random.default_rng(0))
    assert "so their errors were enlarged" in value(bent)["sentences"][-1]


@pytest.mark.parametrize("points", [4, 2])
def test_the_page_shows_sentences_gains_and_the_curve(points: int) -> None:
    steps = {"sentence": "The best next step of those that were measured: more labels.", "rows": STEPS, "together": 2}
    worth = value(LabelCurve.from_dict({**CURVE.to_dict(), "points": CURVE.to_dict()["points"][-points:]}))
    plain = render_page(make_facts())
    text = " ".join(re.sub(r"<[^>]+>", "", render_page(make_facts() | {"worth": worth, "steps": steps})).split())
    assert "What gains are worth in real labels" in text and "What gains are worth" not in plain
    ranked = render_page(make_facts() | {"steps": steps})
    assert "What would help most here" in ranked and "What gains are worth" not in ranked
    assert "What would help most here" in text and steps["sentence"] in text and "growset docs priors" in text
    assert "more extrapolated" in text and "The intervals of the 2 rows on test images that flipped lacks hold" in text
    assert all(row["told"] in text for row in worth["rows"])
    assert text.count(worth["sentences"][0]) == 2, "below the verdict, and where it is explained"
