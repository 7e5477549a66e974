"""The daemon of the UI is started again when it ends by itself, but not for ever, and not while the UI ends."""

import threading
import time
from pathlib import Path

import pytest

from pipelines.daemon import Daemon, may_restart, run_daemon


@pytest.mark.parametrize(
    ("ends", "may"),
    [
        ([0.0], True),
        ([0.0, 1.0, 2.0], True),
        ([0.0, 1.0, 2.0, 3.0], False),
        ([0.0, 1.0, 2.0, 600.0], False),
        ([0.0, 1.0, 2.0, 601.0], True),
        ([0.0, 500.0, 1000.0, 1500.0, 2000.0], True),
    ],
)
def test_three_restarts_within_ten_minutes_are_enough(ends: list[float], may: bool) -> None:
    assert may_restart(ends, ends[-1]) is may


def test_a_daemon_that_ends_again_and_again_is_given_up(tmp_path: Path) -> None:
    starts, given_up = tmp_path / "starts", threading.Event()
    with run_daemon(["sh", "-c", f"echo x >> {starts}; exit 3"]) as daemon:
        daemon.keep_alive(given_up.set, lambda: False, pause=0)
    assert given_up.is_set() and daemon.given_up == 3
    assert starts.read_text().split() == ["x"] * 4


def test_a_daemon_that_was_killed_is_started_again_and_ends_with_the_ui() -> None:
    with run_daemon(["sleep", "100"]) as daemon:
        thread = threading.Thread(target=daemon.keep_alive, args=(pytest.fail, lambda: False, 0.01))
        thread.start()
        first = daemon._process
        first.kill()
        deadline = time.monotonic() + 20
        while daemon._process is first and time.monotonic() < deadline:
            time.sleep(0.01)
        second = daemon._process
        assert second is not first and second.poll() is None
    thread.join(20)
    assert not thread.is_alive() and second.poll() is not None and daemon.given_up is None


def test_a_signal_to_both_ends_both() -> None:
    """Ctrl-C reaches the daemon as well, perhaps before the UI."""
    daemon = Daemon(["sh", "-c", "exit 0"])
    daemon.keep_alive(pytest.fail, lambda: True, pause=0)
    assert daemon.given_up is None
    daemon.close()
