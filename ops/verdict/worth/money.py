"""What labels of the same worth would cost, beside what the generated images cost, where prices are known."""

from __future__ import annotations

from dataclasses import dataclass

from ops.recipe.worth import PriceSettings, parse_price
from ops.verdict.worth.labels import Worth

HOUR = 3600.0  # seconds


@dataclass(frozen=True)
class Prices:
    """Of a label and of an hour of the machine, in one currency; None where a price is not known."""

    currency: str
    label: float | None = None
    hour: float | None = None

    def tell(self, amount: float) -> str:
        """`1,200 EUR`, `3.40 EUR`."""
        shown = f"{amount:,.0f}" if amount >= 100.0 else f"{amount:.2f}"
        return f"{shown} {self.currency}"


def read_prices(settings: PriceSettings | None) -> Prices:
    """The recipe's prices; without them, none is known."""
    if settings is None:
        return Prices("")
    found = {key: parse_price(price) for key in ("label", "hour") if (price := getattr(settings, key)) is not None}
    (currency,) = {currency for _, currency in found.values()}
    return Prices(currency, **{key: amount for key, (amount, _) in found.items()})


def tell_price(worth: Worth, classes: int, prices: Prices) -> str | None:
    """A sentence on what so many labels would cost; None where no price of a label is known.

    A loss is worth no labels, and a gain that is not told from 0 is not shown to be, so these have no price then.
    """
    if prices.label is None or worth.low <= 0.0:
        return None
    labels = [each * classes for each in (worth.estimate, worth.low, worth.high)]
    estimate, low, high = (prices.tell(each * prices.label) for each in labels)
    more = "more than " * (worth.high == worth.most)
    least = "more than " * (worth.estimate == worth.most)
    return f"That many labels, in all {classes} classes, cost {least}{estimate} ({low} to {more}{high})."


def tell_time(prices: Prices, seconds: float | None) -> str | None:
    """A sentence on what the machine's time cost; None where no price of an hour is known.

    seconds: that making the images took; None where it is not known.
    """
    if prices.hour is None:
        return None
    spent = "was not measured here" if seconds is None else f"cost {prices.tell(prices.hour * seconds / HOUR)}"
    return f"This machine's time to make the images {spent}."
