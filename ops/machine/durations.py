"""Durations as people say them: minutes where seconds would be false precision."""

from __future__ import annotations

EXACT = 120.0  # seconds up to which a measured duration is told in seconds


def describe_duration(seconds: float) -> str:
    """A measured duration: seconds up to two minutes, then minutes, then hours and minutes.

    >>> describe_duration(42.4), describe_duration(668.7), describe_duration(5400)
    ('42 s', '11 min', '1 h 30 min')
    """
    return f"{seconds:.0f} s" if seconds <= EXACT else _in_minutes(seconds)


def describe_estimate(seconds: float) -> str:
    """An estimated duration, never finer than a minute.

    >>> describe_estimate(0), describe_estimate(42.4), describe_estimate(100), describe_estimate(5400)
    ('under a minute', 'under a minute', '2 min', '1 h 30 min')
    """
    return "under a minute" if seconds < 60 else _in_minutes(seconds)


def _in_minutes(seconds: float) -> str:
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
