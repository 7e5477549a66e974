"""Durations as people say them."""

import pytest

from ops.machine.durations import describe_duration, describe_estimate


@pytest.mark.parametrize(
    ("seconds", "measured", "estimated"),
    [
        (0.4, "0 s", "under a minute"),
        (59.6, "60 s", "under a minute"),
        (90, "90 s", "2 min"),
        (668.7, "11 min", "11 min"),
        (3590, "1 h 0 min", "1 h 0 min"),
        (36_000, "10 h 0 min", "10 h 0 min"),
    ],
)
def test_minutes_replace_seconds_where_these_are_false_precision(seconds: float, measured: str, estimated: str) -> None:
    assert describe_duration(seconds) == measured
    assert describe_estimate(seconds) == estimated
