"""The busy machine: shares against their closed form, burners that burn and end, rates that are those of a clock."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from benchmarks import busy_machine
from benchmarks.busy_machine import BURN, Clock, burn, fair_share, train_in_parts, train_on_own_threads


@pytest.mark.parametrize(
    ("cores", "workers", "burners", "share"),
    [
        (2, 2, 0, 1),
        (2, 2, 1, 2 / 3),
        (2, 2, 2, 1 / 2),
        (2, 2, 4, 1 / 3),
        (4, 2, 2, 1),
        (4, 2, 6, 1 / 2),
        (2, 4, 4, 1 / 2),
    ],
)
def test_a_fair_share_is_that_of_every_running_thread(cores: int, workers: int, burners: int, share: float) -> None:
    assert fair_share(cores, workers, burners) == pytest.approx(share)


def test_burners_burn_and_end_with_the_context() -> None:
    with burn(2, limit=30):
        burners = [child for child in psutil.Process().children() if BURN in child.cmdline()]
        assert len(burners) == 2
        deadline = time.monotonic() + 20
        while min(burner.cpu_times().user for burner in burners) < 0.1:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    assert not any(burner.is_running() for burner in burners)


def test_burners_end_with_their_parent_and_after_their_time() -> None:
    end_at_once = subprocess.Popen([sys.executable, "-c", BURN, str(os.getpid()), "0.01"])
    orphan = subprocess.Popen([sys.executable, "-c", BURN, str(os.getppid()), "60"])  # another's child
    assert (end_at_once.wait(20), orphan.wait(20)) == (0, 0)


def test_a_clock_counts_from_the_first_step_and_stops() -> None:
    clock = Clock(0.2)
    with pytest.raises(busy_machine._Enough):
        while True:
            clock(0, 0.0)
            time.sleep(0.01)
    assert 10 < clock.rate <= 100


def test_both_ways_of_training_train(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(busy_machine, "BATCH", 4)
    assert train_in_parts(2, 0.1) > 0
    assert train_on_own_threads(1, 0.1) > 0
