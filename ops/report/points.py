"""Differences in points, as the report, the card and the terminal write them."""

from __future__ import annotations

from collections.abc import Mapping


def format_points(interval: Mapping[str, float]) -> str:
    """A difference in points with its interval, signed: `+1.2 (+0.7 to +1.8)`.

    More decimals where one would turn a bound that is not 0 into 0, as in the verdict's sentence.
    """
    values = [100.0 * interval[key] for key in ("estimate", "low", "high")]
    decimals = next((d for d in (1, 2) if all(v == 0 or abs(v) > 0.5 * 10**-d for v in values)), 3)
    centre, low, high = (f"{value:+z.{decimals}f}" if value else f"{0:.{decimals}f}" for value in values)
    return f"{centre} ({low} to {high})".replace("-", "\N{MINUS SIGN}")
