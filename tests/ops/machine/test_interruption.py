"""Stopping by a signal: the place is reported, and a shielded step finishes before the signal acts."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from ops import chain
from ops.machine import interruption
from ops.machine.interruption import at, check, is_shielded, notice, shielded, where
from ops.machine.waiting import INTERVAL, Waiting


class Stop(BaseException):
    pass


@pytest.fixture(autouse=True)
def _handlers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """SIGTERM raises Stop; no signal is recorded yet."""
    for name in ("_places", "_interrupted", "_noticed"):
        monkeypatch.setattr(interruption, name, [])

    def stop(number: int, frame: object) -> None:
        raise Stop

    before = signal.signal(signal.SIGTERM, stop)
    yield
    signal.signal(signal.SIGTERM, before)


def test_the_innermost_place_counts() -> None:
    assert where() == ""
    with at("outside"):
        with at("inside"):
            assert where() == "inside"
        assert where() == "outside"


def test_the_place_of_an_interrupt_is_kept_and_that_of_an_error_is_not() -> None:
    with pytest.raises(ValueError), at("outside"), at("wrong"):
        raise ValueError
    assert where() == ""
    with at("outside"):
        with pytest.raises(Stop), at("inside"):
            raise Stop
        assert where() == "inside"


def test_a_noticed_signal_is_raised_by_every_check() -> None:
    check()
    notice(signal.SIGTERM)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            check()


def test_a_shielded_step_finishes_before_the_signal_acts() -> None:
    done = []
    with pytest.raises(Stop):
        with shielded():
            for step in range(3):
                assert is_shielded()
                os.kill(os.getpid(), signal.SIGTERM)
                done.append(step)
        done.append("after")
    assert done == [0, 1, 2]
    assert not is_shielded()


def test_a_stages_module_is_loaded_before_the_signal_acts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Raised while torch is loaded, it would abort the process."""
    loaded = []

    def load(name: str) -> ModuleType:
        os.kill(os.getpid(), signal.SIGTERM)
        loaded.append(name)
        return import_module(name)

    monkeypatch.setattr(chain, "import_module", load)
    with pytest.raises(Stop):
        chain.find_builder("expansion_plan")
    assert loaded == ["ops.chain.expansion_plan"]


def test_shields_can_be_nested_and_in_other_threads() -> None:
    done = []
    with pytest.raises(Stop), shielded():
        with shielded():
            os.kill(os.getpid(), signal.SIGTERM)
            done.append("inner")
        done.append("outer")
    assert done == ["inner", "outer"]

    def shield_there() -> None:
        with shielded():
            done.append("thread")

    thread = threading.Thread(target=shield_there)
    thread.start()
    thread.join()
    assert done[-1] == "thread"


def test_an_error_in_a_shielded_step_propagates() -> None:
    with pytest.raises(ValueError), shielded():
        raise ValueError
    with pytest.raises(Stop):
        os.kill(os.getpid(), signal.SIGTERM)


def test_an_ignored_signal_stays_ignored_in_a_shield(tmp_path: Path) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with shielded():
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN


def test_waiting_is_reported_at_once_and_again_at_intervals(capsys: pytest.CaptureFixture[str]) -> None:
    times = iter([0.0, 1.0, INTERVAL - 0.1, INTERVAL, INTERVAL + 1.0, 2 * INTERVAL + 0.5])
    waiting = Waiting(clock=lambda: next(times))
    said = []
    for _ in range(6):
        waiting.say("the lock")
        said.append(capsys.readouterr().err)
    assert [bool(line) for line in said] == [True, False, False, True, False, True]
    assert said[0] == "growset: waiting for the lock\n"
