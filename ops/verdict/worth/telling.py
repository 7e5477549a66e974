"""A worth in words: figures that are no finer than they are known, and `more than` where the curve ends."""

from __future__ import annotations

from ops.verdict.worth.labels import Worth

MINUS = "\N{MINUS SIGN}"


def format_labels(value: float) -> str:
    """`37`, `4.2`, `1,200`, with a minus sign for fewer labels.

    >>> format_labels(37.4), format_labels(4.21), format_labels(1203), format_labels(0.0)
    ('37', '4.2', '1,203', '0')
    """
    if round(value, 1) == 0.0:
        return "0"
    shown = f"{abs(value):,.0f}" if abs(value) >= 9.95 else f"{abs(value):.1f}"
    return f"{MINUS if value < 0.0 else ''}{shown}"


def tell_worth(worth: Worth) -> str:
    """`+37 (12 to 80)`; `more than 300` where the curve ends."""
    if not worth.is_told:
        return "the curve cannot tell"
    return f"{_tell_end(worth, worth.estimate)} ({_tell_interval(worth)})"


def explain_worth(worth: Worth, what: str, confidence: float) -> str:
    """The sentence of a worth; what: its subject, in the plural.

    >>> explain_worth(Worth(37.2, 12.4, 80.0, -87.5, 300.0), "These 10,000 generated images", 0.95)
    'These 10,000 generated images are worth 37 more labels per class (95 % interval 12 to 80).'

    Where the interval contains 0, neither a worth nor a loss is said to be there.
    """
    level = f"{100.0 * confidence:g} % interval"
    if not worth.is_told:
        return (
            f"What {what[0].lower()}{what[1:]} are worth in labels the curve cannot tell: anything from"
            f" {format_labels(worth.least)} to {format_labels(worth.most)} labels per class would agree with it."
        )
    ends = [end for end in (worth.estimate, worth.low, worth.high) if worth.is_beyond(end)]
    beyond = "; more than that is beyond what the curve can tell" if worth.most in ends else ""
    beyond = beyond or ("; fewer than that are beyond what the curve can tell" if ends else "")
    if worth.low <= 0.0 <= worth.high:
        return (
            f"{what} are not shown to be worth any labels, nor to cost any: the best estimate is"
            f" {_tell_end(worth, worth.estimate)} per class ({level} {_tell_interval(worth)}{beyond})."
        )
    if worth.estimate > 0.0:
        number = _tell_end(worth, worth.estimate)
        more = "labels" if worth.is_beyond(worth.estimate) else "more labels"
        return f"{what} are worth {number} {more} per class ({level} {_tell_interval(worth)}{beyond})."
    return (
        f"{what} cost as much accuracy as {_tell_fewer(worth)} labels per class less would ({level} of their worth"
        f" {_tell_interval(worth)}{beyond})."
    )


def _tell_fewer(worth: Worth) -> str:
    shown = format_labels(-worth.estimate)
    return f"more than {shown}" if worth.estimate == worth.least else shown


def _tell_interval(worth: Worth) -> str:
    return f"{_tell_end(worth, worth.low)} to {_tell_end(worth, worth.high)}"


def _tell_end(worth: Worth, value: float) -> str:
    if value == worth.most:
        return f"more than {format_labels(value)}"
    return f"less than {format_labels(value)}" if value == worth.least else format_labels(value)
