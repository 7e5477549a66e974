"""Progress lines with a clock that the test sets, compared with rates and times computed by hand."""

from __future__ import annotations

import pytest

from ops.machine.progress import Progress, ignore


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def progress(clock: Clock, lines: list[str]) -> Progress:
    return Progress(lines.append, "generation", 100, "images", clock=clock)


def test_line_shows_done_rate_and_time_left(progress: Progress, clock: Clock, lines: list[str]) -> None:
    progress.update(0)
    clock.now += 10
    progress.update(20)
    assert lines == ["generation: 20/100 images, 2/s, 40 s left"]


def test_resumed_work_does_not_count_towards_the_rate(progress: Progress, clock: Clock, lines: list[str]) -> None:
    progress.update(80)
    clock.now += 10
    progress.update(90)
    assert lines == ["generation: 90/100 images, 1/s, 10 s left"]


def test_rate_is_the_average_of_the_whole_run(progress: Progress, clock: Clock, lines: list[str]) -> None:
    progress.update(0)
    for done in (10, 40):
        clock.now += 10
        progress.update(done)
    assert lines == [
        "generation: 10/100 images, 1/s, 90 s left",
        "generation: 40/100 images, 2/s, 30 s left",
    ]


def test_at_most_one_line_per_interval(clock: Clock, lines: list[str]) -> None:
    progress = Progress(lines.append, "training", 1_000, "steps", interval=2.0, clock=clock)
    for step in range(100):
        clock.now += 0.1
        progress.update(step)
    assert 4 <= len(lines) <= 5


def test_last_line_ignores_the_interval_and_has_no_time_left(
    progress: Progress, clock: Clock, lines: list[str]
) -> None:
    progress.update(0)
    clock.now += 0.5
    progress.update(100)
    assert lines == ["generation: 100/100 images, 200/s"]


def test_no_time_left_is_shown_before_the_first_result(progress: Progress, clock: Clock, lines: list[str]) -> None:
    clock.now += 10
    progress.update(0)
    assert lines == ["generation: 0/100 images"]


def test_the_rate_is_that_since_the_first_update(clock: Clock, lines: list[str]) -> None:
    """Nobody said what was done before it; here 50 images took no time of this run."""
    progress = Progress(lines.append, "generation", 100, "images", interval=0.0, clock=clock)
    for done in (50, 75, 100):
        clock.now += 5
        progress.update(done)
    assert lines == [
        "generation: 50/100 images",
        "generation: 75/100 images, 5/s, 5 s left",
        "generation: 100/100 images, 5/s",
    ]


def test_a_clock_that_stands_still_is_harmless(clock: Clock, lines: list[str]) -> None:
    progress = Progress(lines.append, "generation", 2, "images", interval=0.0, clock=clock)
    for done in (0, 1, 2):
        progress.update(done)
    assert len(lines) == 3


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.001, "50000/s"), (0.05, "1000/s"), (3.0, "16.7/s"), (400.0, "0.125/s"), (5_000.0, "0.01/s")],
)
def test_fast_and_slow_work_both_show_a_readable_rate(
    clock: Clock, lines: list[str], seconds: float, shown: str
) -> None:
    clock.now = 0.0
    progress = Progress(lines.append, "training", 100, "steps", interval=0.0, clock=clock)
    progress.update(0)
    clock.now = seconds
    progress.update(50)
    assert lines[-1].split(", ")[1] == shown


def test_counts_are_shown_as_they_are(progress: Progress, clock: Clock, lines: list[str]) -> None:
    progress.update(0)
    clock.now += 10
    progress.update(50, accepted=30, rejected=20, loss=0.1250)
    assert lines == ["generation: 50/100 images, 5/s, 10 s left, accepted 30, rejected 20, loss 0.125"]


def test_the_ignore_sink_discards_lines(clock: Clock) -> None:
    progress = Progress(ignore, "generation", 1, "images", clock=clock)
    progress.update(1)
