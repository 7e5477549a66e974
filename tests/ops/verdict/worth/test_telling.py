"""Sentences of a worth, of a loss, and where the curve cannot tell; prices of labels and of hours."""

from __future__ import annotations

from ops.recipe.worth import PriceSettings
from ops.verdict.worth.labels import Worth
from ops.verdict.worth.money import Prices, read_prices, tell_price, tell_time
from ops.verdict.worth.telling import explain_worth, tell_worth

WHAT = "These 10,000 generated images"


def explain(estimate: float, low: float, high: float) -> str:
    return explain_worth(Worth(estimate, low, high, -87.5, 300.0), WHAT, 0.95)


def test_a_gain_is_worth_more_labels_and_a_loss_costs_some() -> None:
    assert explain(37.2, 12.4, 80.0).endswith("are worth 37 more labels per class (95 % interval 12 to 80).")
    assert explain(-12.0, -30.0, -2.0) == (
        f"{WHAT} cost as much accuracy as 12 labels per class less would (95 % interval of their worth −30 to −2.0)."
    )


def test_a_gain_that_is_not_told_from_zero_is_not_said_to_be_worth_labels() -> None:
    unsure = "are not shown to be worth any labels, nor to cost any: the best estimate is"
    assert explain(1.25, -4.0, 11.0) == f"{WHAT} {unsure} 1.2 per class (95 % interval −4.0 to 11)."
    assert explain(-12.0, -30.0, 2.0) == f"{WHAT} {unsure} −12 per class (95 % interval −30 to 2.0)."
    assert explain(0.0, 0.0, 0.0) == f"{WHAT} {unsure} 0 per class (95 % interval 0 to 0)."
    assert f"{unsure} 37 per class (95 % interval −4.0 to more than 300; more than" in explain(37.0, -4.0, 300.0)


def test_figures_beyond_the_curve_say_only_on_which_side_they_lie() -> None:
    assert explain(120.0, 40.0, 300.0) == (
        f"{WHAT} are worth 120 more labels per class (95 % interval 40 to more than 300; more than that is beyond what"
        " the curve can tell)."
    )
    assert "are worth more than 300 labels per class (95 % interval 90 to more than 300;" in explain(300.0, 90.0, 300.0)
    assert "as more than 88 labels per class less would" in explain(-87.5, -87.5, -40.0)
    assert "fewer than that are beyond what the curve can tell" in explain(-80.0, -87.5, -40.0)
    assert explain(0.0, -87.5, 300.0) == (
        "What these 10,000 generated images are worth in labels the curve cannot tell: anything from −88 to 300 labels"
        " per class would agree with it."
    )


def test_a_cell_has_the_figures_alone() -> None:
    assert tell_worth(Worth(37.2, 12.4, 300.0, -87.5, 300.0)) == "37 (12 to more than 300)"
    assert tell_worth(Worth(0.0, -87.5, 300.0, -87.5, 300.0)) == "the curve cannot tell"


def test_prices_are_those_of_labels_in_all_classes_and_of_hours() -> None:
    prices = read_prices(PriceSettings(label="0.10 EUR", hour="1.20 EUR"))
    assert prices == Prices("EUR", 0.1, 1.2)
    told = tell_price(Worth(37.0, 12.0, 300.0, -87.5, 300.0), 10, prices)
    assert told == "That many labels, in all 10 classes, cost 37.00 EUR (12.00 EUR to more than 300 EUR)."
    lost = Worth(-37.0, -80.0, -12.0, -87.5, 300.0)
    for unsure in (lost, Worth(37.0, -12.0, 300.0, -87.5, 300.0), Worth(1.0, 0.0, 2.0, -87.5, 300.0)):
        assert tell_price(unsure, 10, prices) is None, "what is not shown has no price"
    assert tell_time(prices, 1800.0) == "This machine's time to make the images cost 0.60 EUR."
    assert tell_time(prices, None) == "This machine's time to make the images was not measured here."
    assert tell_price(Worth(37.0, 12.0, 80.0, -87.5, 300.0), 10, read_prices(None)) is None
    assert tell_time(read_prices(None), 1.0) is None
