"""The keys `worth` and `prices` of the section `report`: gains told in real labels, and in money."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import Field, field_validator, model_validator

from ops.settings.section import Section

LEAST_SHARES = 2  # with all labels three sizes, as many as a curve has parameters
PRICE = re.compile(r"(\d+(?:\.\d+)?) ?([^\W\d_]{1,8}|[^\w\s.,-])")  # `0.10 EUR`, `0.10€`

Share = Annotated[float, Field(gt=0, lt=1)]


class WorthSettings(Section):
    """The learning curve of the picked baseline over its labels."""

    shares: tuple[Share, ...] = Field(
        (0.125, 0.25, 0.5),
        strict=False,
        max_length=8,
        description="parts of the training labels, the same part of each class, with which the picked baseline is"
        " trained again; at least two, because a curve needs three sizes and all labels are one of them",
    )
    seeds: int = Field(3, ge=2, le=20, description="trainings of each part; each draws its own images")

    @field_validator("shares")
    @classmethod
    def _check_shares(cls, shares: tuple[float, ...]) -> tuple[float, ...]:
        if len(set(shares)) < len(shares):
            raise ValueError("each share may be given once")
        if len(shares) < LEAST_SHARES:
            raise ValueError(
                f"a learning curve needs three sizes, {LEAST_SHARES} shares or more beside all labels; with fewer it"
                " gives no worth"
            )
        return tuple(sorted(shares))


class PriceSettings(Section):
    """What a label and an hour of this machine cost."""

    label: str | None = Field(None, description="of one label with its currency, such as 0.10 EUR; null: not known")
    hour: str | None = Field(
        None, description="of an hour of this machine with its currency, such as 1.20 EUR; null: not known"
    )

    @field_validator("label", "hour", mode="before")
    @classmethod
    def _check_price(cls, price: Any) -> Any:
        if price is not None and not (isinstance(price, str) and PRICE.fullmatch(price)):
            raise ValueError("a price is a number from 0 up and its currency, such as 0.10 EUR")
        return price

    @model_validator(mode="after")
    def _check_currency(self) -> PriceSettings:
        prices = [parse_price(price) for price in (self.label, self.hour) if price is not None]
        if not prices:
            raise ValueError("name a price of a label or of an hour, or write prices: null")
        if len({currency for _, currency in prices}) > 1:
            raise ValueError(f"both prices need the same currency, not {prices[0][1]} and {prices[1][1]}")
        return self


def parse_price(price: str) -> tuple[float, str]:
    """Amount and currency of a price that was checked.

    >>> parse_price("0.10 EUR"), parse_price("2€")
    ((0.1, 'EUR'), (2.0, '€'))
    """
    found = PRICE.fullmatch(price)
    assert found is not None, f"not a price: {price}"
    return float(found[1]), found[2]
