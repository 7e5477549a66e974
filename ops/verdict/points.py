"""Differences in points, as the verdict's sentence, the report, the card and the terminal write them."""

from __future__ import annotations

from collections.abc import Mapping


def choose_decimals(*differences: float) -> int:
    """One decimal of a point, or more where rounding would turn a difference that is not 0 into 0."""
    points = [100.0 * difference for difference in differences]
    return next((d for d in (1, 2) if all(p == 0 or abs(p) > 0.5 * 10**-d for p in points)), 3)


def bound_difference(difference: float) -> float:
    """The difference of two scores as it is told: none exceeds 1, though limits from few images may be computed so."""
    return min(1.0, max(-1.0, difference))


def format_points(interval: Mapping[str, float]) -> str:
    """A difference in points with its interval, signed: `+1.2 (+0.7 to +1.8)`; limits end at 100 points."""
    values = [bound_difference(interval[key]) for key in ("estimate", "low", "high")]
    decimals = choose_decimals(*values)
    centre, low, high = (f"{100.0 * value:+z.{decimals}f}" if value else f"{0:.{decimals}f}" for value in values)
    return f"{centre} ({low} to {high})".replace("-", "\N{MINUS SIGN}")
