"""The keys that ask for a worth in labels, and what is refused before anything is computed."""

from __future__ import annotations

from typing import Any

import pytest

from ops.recipe.loading import parse_recipe
from ops.recipe.schema import Recipe
from ops.settings.reading import read_yaml
from tests.recipes import SMOKE, refused


def parse(report: dict[str, Any], **sections: Any) -> Recipe:
    return parse_recipe({**read_yaml(SMOKE), "report": report, **sections}, "mine.yaml")


def test_shares_are_sorted_and_have_defaults() -> None:
    worth = parse({"worth": {}}).report.worth
    assert worth is not None and worth.shares == (0.125, 0.25, 0.5) and worth.seeds == 3
    other = parse({"worth": {"shares": [0.5, 0.2]}}).report.worth
    assert other is not None and other.shares == (0.2, 0.5)


@pytest.mark.parametrize(
    ("report", "words"),
    [
        ({"worth": {"shares": [0.5]}}, "a learning curve needs three sizes"),
        ({"worth": {"shares": [0.5, 0.5, 0.25]}}, "each share may be given once"),
        ({"worth": {"shares": [0.5, 1.0]}}, "less than 1"),
        ({"worth": {"seeds": 1}}, "greater than or equal to 2"),
        ({"worth": {}, "prices": {"label": 0.1}}, "a price is a number from 0 up and its currency, such as 0.10 EUR"),
        ({"worth": {}, "prices": {"hour": "1.20"}}, "'report.prices.hour' in mine.yaml: a price is a number from 0 up"),
        ({"worth": {}, "prices": {"label": "-1 EUR"}}, "a price is a number from 0 up"),
        ({"worth": {}, "prices": {"label": "1 EUR", "hour": "1 USD"}}, "both prices need the same currency"),
        ({"worth": {}, "prices": {}}, "name a price of a label or of an hour"),
        ({"prices": {"label": "0.10 EUR"}}, "prices has no effect without worth"),
    ],
)  # fmt: skip
def test_what_gives_no_worth_is_refused_in_one_sentence(report: dict[str, Any], words: str) -> None:
    with refused(words):
        parse(report)


def test_a_worth_needs_one_split_and_a_metric_that_is_a_mean() -> None:
    with refused("report.worth has no effect with verdict.metric: worst_class"):
        parse({"worth": {}}, verdict={"metric": "worst_class"})
    with refused("report.worth has no effect with verdict.folds"):
        parse({"worth": {}}, verdict={"folds": 5}, data={"classes": None})
