"""Real commands that are stopped by a signal, as a terminal or a supervisor does it, and how they ended."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.kills import LIMIT, PATIENCE, PAUSE, find_phase, lives, wait_for
from tests.workspaces import on_all_cores, user_environment

WARNINGS = ("fewer than 5 seeds", "below this Growset's")  # of tests' workspaces, which are small and say version 1


@dataclass(frozen=True)
class Ending:
    """How a command ended: `survivors` are processes that it had started and left, `seconds` those from the signal."""

    code: int
    seconds: float
    told: str
    survivors: tuple[str, ...]

    def check(self, number: int, sentence: str) -> None:
        """AssertionError unless it ended as it should: the code, within LIMIT, one sentence, nothing left behind."""
        told = [line for line in self.told.splitlines() if not any(warning in line for warning in WARNINGS)]
        assert (self.code, told) == (128 + number, [f"growset: {sentence}"])
        assert self.seconds < LIMIT
        assert self.survivors == ()


def start(root: Path, command: tuple[str, ...]) -> subprocess.Popen[str]:
    """The command in a session of its own; what it prints on stderr goes to a file beside the workspace."""
    with (root.parent / "stderr.txt").open("w") as stderr:
        return subprocess.Popen(
            command,
            cwd=root,
            env={**user_environment(), "OMP_NUM_THREADS": "2"},
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            start_new_session=True,
            preexec_fn=on_all_cores,
            text=True,
        )


def stop(
    root: Path, process: subprocess.Popen[str], number: int = signal.SIGINT, *, group: bool = True, again: float = 0.0
) -> Ending:
    """Send the signal, to the whole process group as a terminal does or to the process alone; after `again` seconds
    once more."""
    family = psutil.Process(process.pid).children(recursive=True)
    started = time.monotonic()
    for pause in (again, 0.0) if again else (0.0,):
        if process.poll() is None:
            os.killpg(process.pid, number) if group else process.send_signal(number)
            time.sleep(pause)
    code = process.wait(PATIENCE)
    seconds = time.monotonic() - started
    time.sleep(0.2)  # a process that was killed is gone when its parent or init has looked
    survivors = tuple(" ".join(each.cmdline()) for each in family if lives(each))
    return Ending(code, seconds, (root.parent / "stderr.txt").read_text(), survivors)


def stop_in(
    root: Path,
    command: tuple[str, ...],
    phase: str,
    delay: float,
    number: int = signal.SIGINT,
    *,
    group: bool = True,
    again: float = 0.0,
) -> Ending:
    """Start the command and stop it `delay` seconds after it has come to the phase."""
    process = start(root, command)
    wait_for(lambda: find_phase(root) == phase or process.poll() is not None, seconds=PATIENCE, pause=PAUSE)
    time.sleep(delay)
    assert process.poll() is None, f"ended before: {(root.parent / 'stderr.txt').read_text()}"
    return stop(root, process, number, group=group, again=again)
