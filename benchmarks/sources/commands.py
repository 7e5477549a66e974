"""`growset` as a stranger calls it: a process of its own, its lines shown and kept, ended when time is up."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
MESSAGE = re.compile(r"^\s*(growset: |warning: |check failed: )|\bwarning\b", re.IGNORECASE)


@dataclass(frozen=True)
class Ended:
    """`code`: the exit code. `messages`: warnings, failed checks and the sentence of an error, as printed.

    `last`: the last line that was printed.
    """

    code: int
    seconds: float
    messages: tuple[str, ...]
    out_of_time: bool
    last: str = ""


def call_growset(arguments: list[str], *, folder: Path, log: Path, seconds: float | None) -> Ended:
    """Call it in `folder`, append what it prints to `log`; stop it after so many seconds."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))),
        "PYTHONUNBUFFERED": "1",
    }
    started = time.monotonic()
    out_of_time = threading.Event()
    lines: list[str] = []
    with log.open("a", encoding="utf-8") as kept:
        kept.write(f"$ growset {' '.join(arguments)}\n")
        process = subprocess.Popen(
            [str(Path(sys.executable).parent / "growset"), *arguments],  # by its name, else it hears no signal
            cwd=folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            encoding="utf-8",
            errors="replace",
        )

        def stop() -> None:
            out_of_time.set()
            process.send_signal(signal.SIGTERM)

        timer = threading.Timer(max(0.0, seconds), stop) if seconds is not None else None
        try:
            if timer:
                timer.start()
            assert process.stdout is not None
            for line in process.stdout:
                lines.append(line.rstrip())
                kept.write(line)
                kept.flush()
                print(f"  {line.rstrip()}", file=sys.stderr, flush=True)
        except BaseException:
            process.terminate()  # it ends by itself within ten seconds; whoever stops this process has no time to wait
            raise
        finally:
            if timer:
                timer.cancel()
        code = process.wait()
    messages = dict.fromkeys(line.strip() for line in lines if MESSAGE.search(line))
    return Ended(code, time.monotonic() - started, tuple(messages), out_of_time.is_set(), lines[-1] if lines else "")
