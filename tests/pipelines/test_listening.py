"""Small programs named `growset` that are stopped in the ways that could lose a signal; they do no real work."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.kills import LIMIT
from tests.workspaces import user_environment

START = """
import hashlib, os, signal, sys, threading, time
from pathlib import Path
from pipelines import interruption
from pipelines.interruption import stoppable
from ops.machine.interruption import at, shielded

def ready():
    print("ready", flush=True)

"""


@dataclass(frozen=True)
class Program:
    process: subprocess.Popen[str]

    def stop(self, *numbers: int, pause: float = 0.0) -> tuple[int, str, float]:
        """Send the signals as soon as it is ready; its exit code, what it said on stderr, seconds until it ended."""
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"
        time.sleep(0.1)
        started = time.monotonic()
        for number in numbers:
            self.process.send_signal(number)
            time.sleep(pause)
        _, told = self.process.communicate(timeout=60)
        return self.process.returncode, told, time.monotonic() - started


def start(folder: Path, text: str, **options: object) -> Program:
    script = folder / "growset"
    script.write_text(START + textwrap.dedent(text))
    return Program(
        subprocess.Popen(
            [sys.executable, str(script), "run", "my data"],
            env=user_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,  # type: ignore[call-overload]
        )
    )


SENTENCE = "growset: stopped in the command run; go on with: growset run 'my data'\n"


def test_a_library_that_logs_what_interrupts_it_shows_no_traceback(tmp_path: Path) -> None:
    program = start(
        tmp_path,
        """
        import logging
        with stoppable("run"):
            logging.getLogger("library").error("shown")
            ready()
            try:
                time.sleep(60)
            except BaseException:
                logging.getLogger("library").error("closing", exc_info=True)
                raise
        """,
    )
    code, told, _ = program.stop(signal.SIGTERM)
    assert (code, told) == (128 + signal.SIGTERM, "shown\n" + SENTENCE)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_command_that_sleeps(tmp_path: Path, number: int) -> None:
    program = start(
        tmp_path,
        "with stoppable('run'):\n    ready()\n    time.sleep(60)\n",
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),  # under nohup the tests themselves ignore SIGHUP
    )
    code, told, seconds = program.stop(number)
    assert (code, told) == (128 + number, SENTENCE)
    assert seconds < LIMIT


def test_before_the_command_begins(tmp_path: Path) -> None:
    code, told, _ = start(tmp_path, "ready()\ntime.sleep(60)\n").stop(signal.SIGINT)
    assert (code, told) == (130, SENTENCE.replace("in the command run", "before it began"))


def test_a_signal_whose_exception_is_swallowed_still_ends_the_process(tmp_path: Path) -> None:
    program = start(
        tmp_path,
        """
        interruption.GRACE = 1.0
        with stoppable('run'):
            ready()
            while True:
                try:
                    time.sleep(60)
                except BaseException:
                    pass
        """,
    )
    code, told, seconds = program.stop(signal.SIGTERM)
    assert (code, told) == (143, SENTENCE)
    assert 0.9 < seconds < LIMIT


def test_a_command_that_ends_in_another_error_or_well_after_the_signal(tmp_path: Path) -> None:
    for after in ("raise ValueError('because of it')", "pass", "sys.exit(3)"):
        text = f"""
        with stoppable('run'):
            try:
                ready()
                time.sleep(60)
            except BaseException:
                {after}
        """
        code, told, seconds = start(tmp_path, text).stop(signal.SIGINT)
        assert (code, told) == (130, SENTENCE)
        assert seconds < LIMIT


def test_a_signal_during_a_destructor_is_not_lost(tmp_path: Path) -> None:
    program = start(
        tmp_path,
        """
        class Slow:
            def __del__(self):
                ready()
                time.sleep(1)

        with stoppable('run'):
            Slow()
            time.sleep(60)
        """,
    )
    code, told, seconds = program.stop(signal.SIGINT)
    assert (code, told) == (130, SENTENCE)
    assert seconds < LIMIT


def test_another_handler_in_the_way_does_not_lose_the_signal(tmp_path: Path) -> None:
    program = start(
        tmp_path,
        """
        interruption.GRACE = 1.0
        with stoppable('run'):
            signal.signal(signal.SIGTERM, lambda number, frame: None)
            ready()
            time.sleep(60)
        """,
    )
    code, told, seconds = program.stop(signal.SIGTERM)
    assert (code, told) == (143, SENTENCE)
    assert seconds < LIMIT


def test_a_main_thread_in_a_long_kernel_is_not_waited_for(tmp_path: Path) -> None:
    program = start(
        tmp_path,
        """
        interruption.GRACE = 1.0
        with stoppable('run'):
            ready()
            hashlib.pbkdf2_hmac('sha256', b'', b'', 200_000_000)
        """,
    )
    code, told, seconds = program.stop(signal.SIGINT)
    assert (code, told) == (130, SENTENCE)
    assert seconds < LIMIT


def test_a_second_signal_ends_a_slow_cleanup(tmp_path: Path) -> None:
    program = start(
        tmp_path,
        """
        interruption.GRACE = 30.0
        with stoppable('run'):
            try:
                ready()
                time.sleep(60)
            finally:
                time.sleep(60)
        """,
    )
    code, told, seconds = program.stop(signal.SIGINT, signal.SIGINT, pause=1.0)
    assert (code, told) == (130, SENTENCE)
    assert seconds < LIMIT


def test_a_shielded_step_is_finished_also_when_a_second_signal_comes(tmp_path: Path) -> None:
    program = start(
        tmp_path,
        f"""
        with stoppable('run'), at("in stage scorer of 'my data'"), shielded():
            ready()
            time.sleep(2)
            Path({str(tmp_path / "whole")!r}).touch()
        """,
    )
    code, told, _ = program.stop(signal.SIGINT, signal.SIGINT, pause=0.7)
    assert (code, told) == (130, SENTENCE.replace("in the command run", "in stage scorer of 'my data'"))
    assert (tmp_path / "whole").exists()


def test_threads_and_children_do_not_keep_it(tmp_path: Path) -> None:
    program = start(
        tmp_path,
        """
        import subprocess
        threading.Thread(target=time.sleep, args=(60,)).start()
        child = subprocess.Popen(['sleep', '60'], stdout=subprocess.DEVNULL)
        with stoppable('run'):
            ready()
            time.sleep(60)
        """,
    )
    code, told, seconds = program.stop(signal.SIGTERM)
    assert (code, told) == (143, SENTENCE)
    assert seconds < LIMIT


def test_an_ignored_signal_stays_ignored(tmp_path: Path) -> None:
    program = start(
        tmp_path,
        "with stoppable('run'):\n    ready()\n    time.sleep(1)\n",
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )
    code, told, _ = program.stop(signal.SIGHUP)
    assert (code, told) == (0, "")


def test_a_stage_of_dvcs_ends_when_dvc_has_died(tmp_path: Path) -> None:
    script = tmp_path / "growset"
    script.write_text(START + "with stoppable('materialize'):\n    ready()\n    time.sleep(60)\n")
    parent = subprocess.Popen(
        [sys.executable, "-c", f"import subprocess, time; subprocess.Popen({[sys.executable, str(script)]!r}).wait()"],
        env={**user_environment(), "DVC_STAGE": "scorer@digits"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None and parent.stderr is not None
    assert parent.stdout.readline() == "ready\n"
    parent.kill()
    assert parent.stderr.read() == "growset: stopped in the command materialize; go on with: dvc repro\n"
    parent.wait()
