"""Numbers in options whose mistakes are one sentence: what was given, and what is allowed."""

import math
from typing import Any

import click

from ops.errors import UserError


class Whole(click.ParamType):
    """A whole number from `least` to `most`."""

    name = "integer"

    def __init__(self, least: int, most: int) -> None:
        self.least, self.most = least, most

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> int:
        try:
            number = int(value)
        except ValueError:
            number = None
        if number is None or not self.least <= number <= self.most:
            raise UserError(
                f"{name_option(param)} is {value!r}; allowed: whole numbers from {self.least:,} to {self.most:,}"
            )
        return number


class Wholes(Whole):
    """Such numbers, with commas between them."""

    name = "integers"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> Any:
        if not isinstance(value, str):  # click converts a value again
            return value
        return [super(Wholes, self).convert(part.strip(), param, context) for part in value.split(",")]


class Number(click.ParamType):
    """A finite number from `least`, or above it where `is_open`, to `most`."""

    name = "number"

    def __init__(self, least: float, most: float, *, is_open: bool = False) -> None:
        self.least, self.most, self.is_open = least, most, is_open

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> float:
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not self.least <= number <= self.most or (self.is_open and number == self.least):
            start = f"above {self.least:g} up to" if self.is_open else f"from {self.least:g} to"
            raise UserError(f"{name_option(param)} is {value!r}; allowed: numbers {start} {self.most:,.12g}")
        return number


class Numbers(Number):
    """Such numbers, with commas between them."""

    name = "numbers"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> Any:
        if not isinstance(value, str):  # click converts a value again
            return value
        return [super(Numbers, self).convert(part.strip(), param, context) for part in value.split(",")]


def name_option(param: click.Parameter | None) -> str:
    """`--dim`, as a user writes it."""
    return param.opts[0] if param else "a number"
